"""Filters (H, W, C) float pixels: discs, motion, magnification, a fractal. Lengths are in pixels."""

from __future__ import annotations

import numpy as np
from scipy import ndimage, signal


def blurred(pixels: np.ndarray, deviation: float, mode: str = "nearest", truncate: float = 4.0) -> np.ndarray:
    """A Gaussian blur of each channel."""
    return ndimage.gaussian_filter(pixels, (deviation, deviation, 0), mode=mode, truncate=truncate)


def disc(radius: float, edge: float) -> np.ndarray:
    """(K, K) weights of a disc, its edge smoothed by a small Gaussian; they add up to 1.

    A grid of 17 pixels and 3 taps of the Gaussian up to a radius of 8; else a grid as wide as the disc and 5.
    """
    half = 8 if radius <= 8 else int(np.ceil(radius))
    taps = np.arange(-1, 2) if radius <= 8 else np.arange(-2, 3)
    at = np.arange(-half, half + 1)
    inside = (at[:, None] ** 2 + at**2 <= radius**2).astype(float)
    weights = np.exp(-(taps**2) / (2 * edge**2))
    for axis in (0, 1):
        inside = ndimage.correlate1d(inside, weights / weights.sum(), axis, mode="mirror")
    return inside / inside.sum()


def convolved(pixels: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """Each channel by a symmetric kernel, mirrored at the border."""
    half = len(kernel) // 2
    padded = np.pad(
        pixels,
        ((half, half), (half, half), (0, 0)),
        mode="reflect" if half < min(pixels.shape[:2]) else "symmetric",
    )
    return signal.fftconvolve(padded, kernel[..., None], mode="valid", axes=(0, 1))


def moved(pixels: np.ndarray, radius: float, deviation: float, angle: float) -> np.ndarray:
    """A blur along a line that begins at each pixel, as ImageMagick's motion blur.

    Half a Gaussian of 2 x radius + 1 whole pixels, in the direction of `angle` (degrees, clockwise from the
    right); beyond the border its last pixel counts.
    """
    steps = np.arange(2 * int(np.ceil(radius)) + 1)
    weights = np.exp(-(steps**2) / (2 * deviation**2))
    weights /= weights.sum()
    turn = np.deg2rad(angle)
    down, right = (np.ceil(steps * part - 0.5).astype(int) for part in (np.sin(turn), np.cos(turn)))
    rows, columns = np.arange(pixels.shape[0]), np.arange(pixels.shape[1])
    total = np.zeros_like(pixels, dtype=float)
    for weight, dy, dx in zip(weights, down, right, strict=True):
        y, x = np.clip(rows + dy, 0, len(rows) - 1), np.clip(columns + dx, 0, len(columns) - 1)
        total += weight * pixels[y][:, x]
    return total


def magnified(pixels: np.ndarray, factor: float) -> np.ndarray:
    """The middle of the image, magnified to its size by linear interpolation."""
    height, width = pixels.shape[:2]
    h, w = int(np.ceil(height / factor)), int(np.ceil(width / factor))
    top, left = (height - h) // 2, (width - w) // 2
    large = ndimage.zoom(pixels[top : top + h, left : left + w], (factor, factor, 1), order=1)
    y, x = (large.shape[0] - height) // 2, (large.shape[1] - width) // 2
    return large[y : y + height, x : x + width]


def fractal(rng: np.random.Generator, height: int, width: int, fading: float) -> np.ndarray:
    """(H, W) heights from 0 to 1 by the diamond-square algorithm on a square that wraps around.

    Each point is the mean of four neighbours and a draw, whose range falls by the square of `fading` from one
    scale to the next.
    """
    side = 1 << max(height, width, 2).bit_length()
    side = side // 2 if side // 2 >= max(height, width) else side
    field, step, reach = np.zeros((side, side)), side, 100.0**2
    while step >= 2:
        half = step // 2

        def filled(four: np.ndarray, reach: float = reach) -> np.ndarray:
            return four / 4 + rng.uniform(-reach, reach, four.shape)

        corners = field[::step, ::step]
        across = corners + np.roll(corners, -1, 0)
        field[half::step, half::step] = filled(across + np.roll(across, -1, 1))
        centres = field[half::step, half::step]
        upright = corners + np.roll(corners, -1, 1) + centres + np.roll(centres, 1, 0)
        field[::step, half::step] = filled(upright)
        lying = corners + np.roll(corners, -1, 0) + centres + np.roll(centres, 1, 1)
        field[half::step, ::step] = filled(lying)
        step, reach = half, reach / fading**2
    field -= field.min()
    return (field / field.max())[:height, :width]
