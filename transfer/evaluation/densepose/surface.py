"""Keeps the dense surface of one detection small: part, U and V in eight bits each, as a PNG."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping

import numpy as np


class PackedSurface(Mapping[str, np.ndarray]):
    """{"labels": (h, w) uint8 part 0..24, "uv": (2, h, w) float32 in [0, 1]}, decoded whenever it is read.

    A validation set has 10^5 detections, as arrays many times the machine's memory. The metric and the result
    file know U and V to eight bits only, so nothing counted is lost.
    """

    __slots__ = ("png",)

    def __init__(self, png: bytes):
        self.png = png

    @classmethod
    def pack(cls, labels: np.ndarray, uv: np.ndarray) -> PackedSurface:
        """Packs (h, w) parts and (2, h, w) coordinates; what lies outside [0, 1] is cut."""
        from PIL import Image

        eight = np.clip(uv * 255.0, 0, 255).astype(np.uint8)
        buffer = io.BytesIO()
        pixels = np.dstack([labels.astype(np.uint8), eight[0], eight[1]])
        Image.fromarray(pixels).save(buffer, format="PNG", compress_level=1)
        return cls(buffer.getvalue())

    def __getitem__(self, key: str) -> np.ndarray:
        from PIL import Image

        if key not in ("labels", "uv"):
            raise KeyError(key)
        with Image.open(io.BytesIO(self.png)) as image:
            pixels = np.array(image.convert("RGB"))
        if key == "labels":
            return pixels[:, :, 0]
        # A hair above k / 255, so that it comes back to k when it is cut to eight bits again.
        uv = (pixels[:, :, 1:].astype(np.float32) + np.float32(0.001)) / np.float32(255)
        return np.clip(uv, 0, 1).transpose(2, 0, 1)

    def __iter__(self) -> Iterator[str]:
        return iter(("labels", "uv"))

    def __len__(self) -> int:
        return 2
