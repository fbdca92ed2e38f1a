"""Maps places of the original image to those of the sample: a resize, then perhaps a horizontal flip.

Coordinates are continuous: the left edge of the first pixel is 0, so a flip maps x to width - x.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from PIL import Image

Size = tuple[int, int]  # (height, width)


@dataclass(frozen=True)
class View:
    """Maps an image of size `old` to the sample's image of size `new`."""

    old: Size
    new: Size
    flipped: bool

    def points(self, points: np.ndarray) -> np.ndarray:
        """(..., 2) x, y of the original image -> float64 x, y of the sample; not clipped."""
        moved = np.asarray(points, np.float64) * [self.new[1] / self.old[1], self.new[0] / self.old[0]]
        if self.flipped:
            moved[..., 0] = self.new[1] - moved[..., 0]
        return moved

    def boxes(self, boxes: np.ndarray) -> np.ndarray:
        """(N, 4) XYXY -> float64 XYXY, clipped to the sample's image."""
        corners = self.points(np.reshape(boxes, (-1, 2, 2)))
        low, high = corners.min(axis=1), corners.max(axis=1)
        return np.concatenate([low, high], axis=1).clip(0, [self.new[1], self.new[0]] * 2)

    @cached_property
    def nearest(self) -> tuple[np.ndarray, np.ndarray]:
        """The rows (new height,) and columns (new width,) of the original pixels that are nearest.

        Pillow itself says which: its rounding decides pixels that lie between two.
        """
        rows = _resized_row(self.old[0], self.new[0])
        columns = _resized_row(self.old[1], self.new[1])
        return rows, columns[::-1] if self.flipped else columns


def _resized_row(old: int, new: int) -> np.ndarray:
    row = Image.fromarray(np.arange(old, dtype=np.int32)[None])
    return np.asarray(row.resize((new, 1), Image.Resampling.NEAREST))[0]
