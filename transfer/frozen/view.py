"""Makes the test view of an image: shorter side resized, central square cut, as published evaluations do."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from PIL.Image import Image


@dataclass(frozen=True)
class View:
    """The transform of every image, in pixels.

    resize: of the shorter side; 0 resizes the whole image to the square. crop: side of that square.
    """

    resize: int = 256
    crop: int = 224
    interpolation: str = "bicubic"

    def facts(self) -> dict[str, Any]:
        """Says all that moves a pixel, for the identity of features; Pillow's filters are its own."""
        from PIL import __version__

        return {**asdict(self), "antialias": True, "by": f"Pillow {__version__}"}

    def __call__(self, image: Image) -> np.ndarray:
        """(crop, crop, 3) uint8 RGB: the pixels of torchvision's `Resize` and `CenterCrop` on Pillow images.

        An image smaller than the square after resizing is black beyond its edges.
        """
        from PIL.Image import Resampling

        width, height = self._resized(image.size)
        # Resizing only what the square shows would round in another order: Pillow chooses it by size.
        pixels = np.asarray(image.resize((width, height), Resampling[self.interpolation.upper()]))
        if min(width, height) < self.crop:
            pixels = _padded(pixels, self.crop)
            height, width = pixels.shape[:2]
        left, top = round((width - self.crop) / 2.0), round((height - self.crop) / 2.0)
        return pixels[top : top + self.crop, left : left + self.crop]

    def _resized(self, size: tuple[int, int]) -> tuple[int, int]:
        """Width and height behind the resize; torchvision rounds the longer side down."""
        if not self.resize:
            return self.crop, self.crop
        width, height = size
        longer = int(self.resize * max(size) / min(size))
        return (longer, self.resize) if width > height else (self.resize, longer)


def _padded(pixels: np.ndarray, side: int) -> np.ndarray:
    """The image in a black one of at least `side` each way, as torchvision's `CenterCrop` pads."""
    missing = [max(side - n, 0) for n in pixels.shape[:2]]
    return np.pad(pixels, [*((n // 2, n - n // 2) for n in missing), (0, 0)])
