"""Draws the crops that a linear layer is trained on: a part of the image, resized, mirrored or not."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from PIL.Image import Image

RATIOS = (3 / 4, 4 / 3)  # of width to height, as in all published protocols
TRIES = 10


def window(
    size: tuple[int, int], area: tuple[float, float], rng: np.random.Generator
) -> tuple[int, int, int, int]:
    """The box (left, top, right, bottom) of a crop, by the rule of torchvision's `RandomResizedCrop`.

    size: (width, height). area: least and greatest share of the image. Where no draw fits, it is the largest
    central part of an allowed ratio.
    """
    width, height = size
    for _ in range(TRIES):
        wanted = width * height * rng.uniform(*area)
        ratio = math.exp(rng.uniform(math.log(RATIOS[0]), math.log(RATIOS[1])))
        w, h = round(math.sqrt(wanted * ratio)), round(math.sqrt(wanted / ratio))
        if 0 < w <= width and 0 < h <= height:
            left, top = int(rng.integers(0, width - w + 1)), int(rng.integers(0, height - h + 1))
            return left, top, left + w, top + h
    w = min(width, round(height * RATIOS[1])) if width / height > RATIOS[1] else width
    h = min(height, round(width / RATIOS[0])) if width / height < RATIOS[0] else height
    left, top = (width - w) // 2, (height - h) // 2
    return left, top, left + w, top + h


def augmented(
    image: Image, side: int, interpolation: str, area: tuple[float, float], rng: np.random.Generator
) -> np.ndarray:
    """(side, side, 3) uint8 RGB of a drawn crop, of which half are mirrored."""
    from PIL.Image import Resampling, Transpose

    box = window(image.size, area, rng)
    crop = image.crop(box).resize((side, side), Resampling[interpolation.upper()])
    if rng.random() < 0.5:
        crop = crop.transpose(Transpose.FLIP_LEFT_RIGHT)
    return np.asarray(crop)
