"""Fills a region with a texture in two colours drawn at random: the texture tells a class, they do not.

Half of a region has one colour and half the other, whatever the texture, so that not even the share of a
colour gives a class away.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image

CONTRAST = 70.0  # of the luminances of the two colours, out of 255
GRAIN = 6.0  # standard deviation of the noise of a pixel
_CHANGE = np.linspace(0.4, 0.6, 5)  # between these shares of a region one colour turns into the other
_RISE = np.linspace(0, 1, len(_CHANGE))
_LUMINANCE = np.array([0.299, 0.587, 0.114])
_DARKEST, _LIGHTEST = 25.0, 230.0


@dataclass(frozen=True)
class Texture:
    """Says what repeats, after how much of the image's shorter side, and turned by which angle in degrees.

    kind: a function of `KINDS`. An angle and its mirror are one class, since training images are flipped.
    """

    kind: str
    period: float
    angle: float = 0.0


def draw_colours(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Draws two colours, (3,) each in 0..255, at least CONTRAST apart in luminance."""
    while True:
        first, second = rng.uniform(_DARKEST, _LIGHTEST, (2, 3))
        if abs((first - second) @ _LUMINANCE) >= CONTRAST:
            return first, second


def fill(
    rng: np.random.Generator,
    texture: Texture,
    width: int,
    height: int,
    side: int,
    where: np.ndarray | None = None,
) -> np.ndarray:
    """(H, W, 3) float pixels of the texture in an image whose shorter side is `side` pixels.

    where: (H, W) bool; half of these pixels get more of the one colour, half more of the other.
    """
    period = max(texture.period * side, 3.0)
    turn = np.deg2rad(texture.angle + rng.uniform(-8, 8))
    x, y = np.arange(width) / period + rng.uniform(), np.arange(height)[:, None] / period + rng.uniform()
    along, across = x * np.cos(turn) + y * np.sin(turn), y * np.cos(turn) - x * np.sin(turn)
    return mix(rng, KINDS[texture.kind](rng, along, across), where)


def mix(rng: np.random.Generator, pattern: np.ndarray, where: np.ndarray | None = None) -> np.ndarray:
    """(H, W, 3) float pixels: two random colours, changing where the (H, W) pattern crosses its median."""
    inside = np.sort(pattern[where] if where is not None and where.any() else pattern, axis=None)
    steps = inside[(_CHANGE * (inside.size - 1)).astype(int)]
    first, second = draw_colours(rng)
    share = np.interp(pattern, steps, _RISE)
    return first + share[..., None] * (second - first)


def finish(rng: np.random.Generator, pixels: np.ndarray) -> Image.Image:
    """Returns the image of (H, W, 3) float pixels, with a grain that is the same everywhere."""
    grain = rng.normal(0, GRAIN, (*pixels.shape[:2], 1))
    return Image.fromarray(np.clip(pixels + grain, 0, 255).astype(np.uint8))


def _stripes(rng: np.random.Generator, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    return np.sin(2 * np.pi * u)


def _checks(rng: np.random.Generator, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    return np.sin(2 * np.pi * u) * np.sin(2 * np.pi * v)


def _dots(rng: np.random.Generator, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    return np.hypot(u % 1 - 0.5, v % 1 - 0.5)


def _bricks(rng: np.random.Generator, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    shifted = u / 2 + 0.5 * (np.floor(v) % 2)
    return np.minimum(2 * np.abs(shifted % 1 - 0.5), 1 - np.abs(2 * (v % 1) - 1))


def _waves(rng: np.random.Generator, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    return np.sin(2 * np.pi * (u + 0.8 * np.abs(v / 2 % 1 - 0.5)))


def _rings(rng: np.random.Generator, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    return np.sin(2 * np.pi * (np.hypot(u - u.mean(), v - v.mean()) + rng.uniform()))


def _clouds(rng: np.random.Generator, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Smooth noise whose blobs are about a period wide, with finer noise on top."""
    height, width = u.shape
    total = np.zeros((height, width))
    for octave in (1, 2, 4):
        cells = [max(2, int(np.ceil(np.ptp(w) * octave))) for w in (v, u)]
        small = Image.fromarray(rng.normal(0, 1, cells).astype(np.float32))
        total += np.asarray(small.resize((width, height), Image.Resampling.BICUBIC)) / octave
    return total


def _plain(rng: np.random.Generator, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    return u + 0.0 * v


KINDS = {
    "stripes": _stripes, "checks": _checks, "dots": _dots, "bricks": _bricks, "waves": _waves,
    "rings": _rings, "clouds": _clouds, "plain": _plain,
}  # fmt: skip
