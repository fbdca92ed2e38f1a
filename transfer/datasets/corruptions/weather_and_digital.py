"""Corrupts by weather and by processing. Pixels are (H, W, 3) float64 from 0 to 1; see `noise_and_blur`."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from PIL import Image
from scipy import ndimage

from transfer.datasets.corruptions.filters import blurred, fractal, magnified, moved

Rng = np.random.Generator
_GREY = np.array([0.299, 0.587, 0.114])
_ICE = np.array([0.82, 0.9, 1.0])  # its white is bluish


def snow(x: np.ndarray, c: Any, rng: Rng, unit: float) -> np.ndarray:
    """Whitens the image and lets flakes fall, and the same flakes turned by 180 degrees."""
    mean, deviation, size, least, radius, way, left = c
    flakes = magnified(rng.normal(mean, deviation, (*x.shape[:2], 1)), max(size * unit, 1.0))
    flakes = np.floor(np.clip(np.where(flakes < least, 0, flakes), 0, 1) * 255) / 255
    flakes = moved(flakes, radius * unit, way * unit, rng.uniform(-135, -45))
    white = np.maximum(x, (x @ _GREY)[..., None] * 1.5 + 0.5)
    return left * x + (1 - left) * white + flakes + np.rot90(flakes, 2)


def frost(x: np.ndarray, c: Any, rng: Rng, unit: float) -> np.ndarray:
    """Lays ice over the image. The ice is drawn; the published one is cut from six photographs."""
    return c[0] * x + c[1] * ice(rng, *x.shape[:2])


def ice(rng: Rng, height: int, width: int) -> np.ndarray:
    """(H, W, 3) from 0 to 1: bright veins along the level lines of fractals, denser in some places."""
    veins = sum((1 - np.abs(2 * fractal(rng, height, width, 1.5) - 1)) ** 6 for _ in range(3))
    where = fractal(rng, height, width, 2.0)
    return np.clip(0.25 * where + 0.6 * veins * (0.3 + 0.7 * where), 0, 1)[..., None] * _ICE


def fog(x: np.ndarray, c: Any, rng: Rng, unit: float) -> np.ndarray:
    """Adds a fractal and scales the sum to the image's brightest value."""
    brightest = x.max()
    height, width = x.shape[:2]
    return (x + c[0] * fractal(rng, height, width, c[1])[..., None]) * brightest / (brightest + c[0])


def brightness(x: np.ndarray, c: Any, rng: Rng, unit: float) -> np.ndarray:
    """Adds to the value of HSV: hue and saturation stay, so the three channels grow in proportion."""
    value = x.max(-1, keepdims=True)
    brighter = np.clip(value + c, 0, 1)
    return np.where(value > 0, x * brighter / np.where(value > 0, value, 1), brighter)


def contrast(x: np.ndarray, c: Any, rng: Rng, unit: float) -> np.ndarray:
    """Brings each channel nearer to its mean."""
    mean = x.mean((0, 1), keepdims=True)
    return (x - mean) * c + mean


def elastic_transform(x: np.ndarray, c: Any, rng: Rng, unit: float) -> np.ndarray:
    """Moves three points of the image and all between them, then each pixel by a smooth field."""
    length, smooth, corner = (value * unit for value in c)
    height, width = x.shape[:2]
    x = _affine(x, corner, rng)
    field = [
        blurred(rng.uniform(-1, 1, (height, width, 1)), smooth, "reflect", 3)[..., 0] * length
        for _ in range(2)
    ]
    rows, columns = np.mgrid[:height, :width]
    return _sampled(x, rows + field[1], columns + field[0], "reflect")


def _affine(x: np.ndarray, corner: float, rng: Rng) -> np.ndarray:
    """The affine change that moves three points around the middle by up to `corner` pixels each way."""
    height, width = x.shape[:2]
    middle, size = np.array([height, width]) // 2, min(height, width) // 3
    points = middle + size * np.array([[1, 1], [1, -1], [-1, -1]], float)
    goals = points + rng.uniform(-corner, corner, points.shape)
    back = np.linalg.solve(
        np.c_[goals, np.ones(3)], points
    )  # (3, 2): from a place in the result to its source
    rows, columns = np.mgrid[:height, :width]
    places = np.stack([columns, rows, np.ones_like(rows)], -1) @ back
    return _sampled(x, places[..., 1], places[..., 0], "mirror")


def _sampled(x: np.ndarray, rows: np.ndarray, columns: np.ndarray, mode: str) -> np.ndarray:
    """The image at those places, by linear interpolation; `mode` says what is beyond the border."""
    channels = [ndimage.map_coordinates(x[..., i], [rows, columns], order=1, mode=mode) for i in range(3)]
    return np.stack(channels, -1)


def pixelate(x: np.ndarray, c: Any, rng: Rng, unit: float) -> np.ndarray:
    """Means boxes of pixels."""
    image, size = _image(x), x.shape[1::-1]
    small = image.resize([max(int(side * c), 1) for side in size], Image.Resampling.BOX)
    return np.asarray(small.resize(size, Image.Resampling.BOX)) / 255


def jpeg_compression(x: np.ndarray, c: Any, rng: Rng, unit: float) -> np.ndarray:
    """Saves as JPEG of quality `c`."""
    return saved(x, c) / 255


def saved(x: np.ndarray, quality: int) -> np.ndarray:
    """(H, W, 3) uint8 of a JPEG of that quality."""
    stream = io.BytesIO()
    _image(x).save(stream, "JPEG", quality=quality)
    return np.asarray(Image.open(stream).convert("RGB"))


def _image(x: np.ndarray) -> Image.Image:
    return Image.fromarray(np.floor(np.clip(x, 0, 1) * 255 + 1e-6).astype(np.uint8))
