"""Maps places of the original image to those of the sample: a resize, a flip, a window, a second resize.

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
    """Maps an image of size `old` to the sample's image of size `new`.

    With a `window` (top, left) the sample is what is seen there of an image resized to `whole`. The image is
    then flipped before it is resized, as in Detectron2's recipes with a crop. With a `part` the window has
    that size and is resized to `new`.
    """

    old: Size
    new: Size
    flipped: bool
    whole: Size | None = None
    window: tuple[int, int] | None = None
    part: Size | None = None

    def points(self, points: np.ndarray) -> np.ndarray:
        """(..., 2) x, y of the original image -> float64 x, y of the sample; not clipped."""
        height, width = self.whole or self.new
        moved = np.asarray(points, np.float64) * [width / self.old[1], height / self.old[0]]
        if self.flipped:
            moved[..., 0] = width - moved[..., 0]
        if self.window is None:
            return moved
        seen = self.part or self.new
        return (moved - [self.window[1], self.window[0]]) * [self.new[1] / seen[1], self.new[0] / seen[0]]

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
        height, width = self.whole or self.new
        rows, columns = _resized_row(self.old[0], height), _resized_row(self.old[1], width)
        if self.window is None:
            return rows, columns[::-1] if self.flipped else columns
        columns = self.old[1] - 1 - columns if self.flipped else columns
        (top, left), seen = self.window, self.part or self.new
        rows, columns = rows[top : top + seen[0]], columns[left : left + seen[1]]
        if self.part is None:
            return rows, columns
        return rows[_resized_row(seen[0], self.new[0])], columns[_resized_row(seen[1], self.new[1])]


def _resized_row(old: int, new: int) -> np.ndarray:
    row = Image.fromarray(np.arange(old, dtype=np.int32)[None])
    return np.asarray(row.resize((new, 1), Image.Resampling.NEAREST))[0]
