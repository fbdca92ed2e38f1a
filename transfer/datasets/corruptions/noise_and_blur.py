"""Corrupts by noise and by blur. Pixels are (H, W, 3) float64 from 0 to 1; results may leave that range.

c: what is published of the severity. unit: pixels that stand for one of an image of 224.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from transfer.datasets.corruptions.filters import blurred, convolved, disc, magnified, moved

Rng = np.random.Generator


def gaussian_noise(x: np.ndarray, c: Any, rng: Rng, unit: float) -> np.ndarray:
    """Adds a draw of the normal distribution to each value."""
    return x + rng.normal(0, c, x.shape)


def shot_noise(x: np.ndarray, c: Any, rng: Rng, unit: float) -> np.ndarray:
    """Counts photons, `c` of them for a value of 1."""
    return rng.poisson(x * c) / c


def impulse_noise(x: np.ndarray, c: Any, rng: Rng, unit: float) -> np.ndarray:
    """Sets a share of the values to 0 or 1, each as often."""
    return np.where(rng.random(x.shape) < c, rng.integers(0, 2, x.shape), x)


def defocus_blur(x: np.ndarray, c: Any, rng: Rng, unit: float) -> np.ndarray:
    """Spreads each pixel over a disc."""
    return convolved(x, disc(max(c[0] * unit, 0.5), c[1]))


def glass_blur(x: np.ndarray, c: Any, rng: Rng, unit: float) -> np.ndarray:
    """Blurs, takes each pixel from a neighbour, row by row from below, and blurs again.

    The published code means to swap two pixels, but copies one, as its two sides are views of one array. Here
    it is copied too.
    """
    deviation, reach, passes = c[0] * unit, max(round(c[1] * unit), 1), c[2]
    x = np.floor(np.clip(blurred(x, deviation), 0, 1) * 255) / 255
    height, width = x.shape[:2]
    y, across = (np.arange(side - reach, reach, -1) for side in (height, width))
    at = (y[:, None] * width + across).ravel()
    source = np.arange(height * width).tolist()
    for _ in range(passes):
        dy, dx = rng.integers(-reach, reach, (2, len(at)))
        for here, there in zip(at.tolist(), (at + dy * width + dx).tolist(), strict=True):
            source[here] = source[there]
    return blurred(x.reshape(-1, 3)[source].reshape(x.shape), deviation)


def motion_blur(x: np.ndarray, c: Any, rng: Rng, unit: float) -> np.ndarray:
    """Smears the image along a line, up to 45 degrees from the level."""
    return moved(x, c[0] * unit, c[1] * unit, rng.uniform(-45, 45))


def zoom_blur(x: np.ndarray, c: Any, rng: Rng, unit: float) -> np.ndarray:
    """Means the image and its magnifications."""
    return (x + sum(magnified(x, float(factor)) for factor in c)) / (len(c) + 1)
