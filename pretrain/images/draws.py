"""Draws the random numbers of a run as functions of (seed, epoch, index): sample order, crops, strengths.

Counter-based generation (Philox) makes every image's numbers independent of worker count, world size and
resume. The distributions are those of the published transforms (torchvision's RandomResizedCrop, ColorJitter,
RandomGrayscale and RandomSolarize, MoCo's GaussianBlur).
"""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pretrain.images.recipes import Recipe

RATIO = (3 / 4, 4 / 3)
NUMBERS_PER_VIEW = 40  # 22 crop, 1 flip, 9 jitter, 3 gray and blur, 1 solarise
_ORDER_STREAM, _STEP_STREAM = 2**63, 2**62  # apart from every image number
_of_thread = threading.local()  # a bit generator each, which is set to the numbers of one image after another


@dataclass(frozen=True)
class Views:
    """A request for `count` views of every image by one recipe (a name in RECIPES), `size` pixels wide."""

    count: int
    recipe: str
    size: int


@dataclass(frozen=True)
class View:
    """The augmentation of one view, drawn. Jitter is (operation, factor) in order; sigma 0 is no blur."""

    box: tuple[int, int, int, int]  # top, left, height, width
    flip: bool
    jitter: tuple[tuple[int, float], ...]  # operations: 0 brightness, 1 contrast, 2 saturation, 3 hue
    gray: bool
    sigma: float
    solarise: bool = False


def generator(seed: int, epoch: int, stream: int) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(key=[seed, epoch], counter=[0, 0, 0, stream]))


def sample_order(seed: int, epoch: int, num_images: int) -> np.ndarray:
    """The order in which one epoch visits the images."""
    return generator(seed, epoch, _ORDER_STREAM).permutation(num_images)


def step_seed(seed: int, iteration: int) -> int:
    """Seed of the numbers that belong to a step and to no image: the shuffle, the bank's negatives."""
    return int(generator(seed, iteration, _STEP_STREAM).integers(2**62))


def draw_views(
    seed: int, epoch: int, index: int, height: int, width: int, recipes: Sequence[Recipe]
) -> list[View]:
    """Draws one view a recipe of image `index`, height x width pixels large, in one epoch."""
    numbers = _uniform(seed, epoch, index, len(recipes)).tolist()
    return [_view(row, height, width, recipe) for row, recipe in zip(numbers, recipes, strict=True)]


def _uniform(seed: int, epoch: int, index: int, views: int) -> np.ndarray:
    """The numbers that `generator(seed, epoch, index)` gives first, float64 views x NUMBERS_PER_VIEW.

    Setting the state of a bit generator takes a third of the time of making one.
    """
    if not hasattr(_of_thread, "philox"):
        _of_thread.philox = np.random.Philox(key=[0, 0])
        _of_thread.state = _of_thread.philox.state  # with an empty buffer
        _of_thread.numbers = np.random.Generator(_of_thread.philox)
    _of_thread.state["state"]["key"][:] = seed, epoch
    _of_thread.state["state"]["counter"][:] = 0, 0, 0, index
    _of_thread.philox.state = _of_thread.state
    return _of_thread.numbers.random((views, NUMBERS_PER_VIEW))


def _view(u: list[float], height: int, width: int, recipe: Recipe) -> View:
    """`u`: NUMBERS_PER_VIEW independent uniform numbers in [0, 1)."""
    jitter: tuple[tuple[int, float], ...] = ()
    if u[23] < recipe.jitter_probability:
        order = sorted(range(4), key=lambda operation: u[24 + operation])  # a uniformly random permutation
        jitter = tuple((operation, _factor(u[28 + operation], operation, recipe)) for operation in order)
    sigma = 0.0
    if u[33] < recipe.blur_probability:
        sigma = recipe.blur_sigma[0] + (recipe.blur_sigma[1] - recipe.blur_sigma[0]) * u[34]
    return View(
        crop_box(u[:22], height, width, recipe.scale),
        u[22] < 0.5,
        jitter,
        u[32] < recipe.gray_probability,
        sigma,
        u[35] < recipe.solarise_probability,
    )


def _factor(u: float, operation: int, recipe: Recipe) -> float:
    strength = recipe.strengths[operation]
    centre = 0.0 if operation == 3 else 1.0  # hue is shifted, the others are scaled
    return centre - strength + 2 * strength * u


def crop_box(
    u: list[float],
    height: int,
    width: int,
    scale: tuple[float, float],
    ratio: tuple[float, float] = RATIO,
) -> tuple[int, int, int, int]:
    """torchvision's RandomResizedCrop: (top, left, height, width) from 22 uniform numbers, in ten tries."""
    low, high = math.log(ratio[0]), math.log(ratio[1])
    for attempt in range(10):
        area = height * width * (scale[0] + (scale[1] - scale[0]) * u[2 * attempt])
        aspect = math.exp(low + (high - low) * u[2 * attempt + 1])
        w, h = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
        if 0 < w <= width and 0 < h <= height:
            return int(u[20] * (height - h + 1)), int(u[21] * (width - w + 1)), h, w
    h, w = height, width  # ten misses: the largest centred box of an allowed aspect ratio
    if width / height < ratio[0]:
        h = min(height, round(width / ratio[0]))
    elif width / height > ratio[1]:
        w = min(width, round(height * ratio[1]))
    return (height - h) // 2, (width - w) // 2, h, w
