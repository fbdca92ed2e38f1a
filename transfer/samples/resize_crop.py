"""Resizes a detector's image, for half of the images with a crop in between: DETR's augmentation.

The recipes of Swin (arXiv 2103.14030) and ConvNeXt (2201.03545) have it from DETR (2005.12872) and Sparse
R-CNN: flip; then the shorter side as INPUT.MIN_SIZE_TRAIN draws it, or first a shorter side of
INPUT.CROP.MIN_SIZE_BEFORE and a window whose sides are drawn from INPUT.CROP.SIZE, low to high.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from yacs.config import CfgNode

from transfer.samples.sample import resized
from transfer.samples.view import Size, View

SHARE = 0.5  # of the images that are cropped


def is_cropped(cfg: CfgNode) -> bool:
    """Tells whether a detector's recipe crops some images between two resizes."""
    return bool(cfg.INPUT.CROP.ENABLED) and cfg.INPUT.CROP.TYPE == "absolute_range"


def draw_view(old: Size, cfg: CfgNode, rng: np.random.Generator) -> View:
    """Draws the view of an image of size `old`: flip, whether to crop, then the sizes in their order."""
    flipped = cfg.INPUT.RANDOM_FLIP == "horizontal" and rng.random() < 0.5

    def shorter_side(size: Size, sides: Sequence[int]) -> Size:
        return resized(*size, int(sides[int(rng.integers(len(sides)))]), cfg.INPUT.MAX_SIZE_TRAIN)

    if rng.random() >= SHARE:
        return View(old, shorter_side(old, cfg.INPUT.MIN_SIZE_TRAIN), flipped)
    whole = shorter_side(old, cfg.INPUT.CROP.MIN_SIZE_BEFORE)
    low, high = map(int, cfg.INPUT.CROP.SIZE)
    height, width = (int(rng.integers(min(side, low), min(side, high) + 1)) for side in whole)
    top, left = int(rng.integers(whole[0] - height + 1)), int(rng.integers(whole[1] - width + 1))
    new = shorter_side((height, width), cfg.INPUT.MIN_SIZE_TRAIN)
    return View(old, new, flipped, whole, (top, left), (height, width))
