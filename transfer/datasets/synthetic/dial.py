"""Draws features whose quality is known, and image sets that show their class as clearly as is asked for.

A representation of quality q puts each class q away from the others in noise. The best that can be done with
it, by someone who knows the centres, is known (`best_accuracy`); at 0 the features say nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from transfer.datasets.synthetic.texture import Texture, fill, finish, mix

if TYPE_CHECKING:
    from PIL.Image import Image

_PERIODS = {"stripes": 0.16, "dots": 0.2, "rings": 0.22, "checks": 0.2, "bricks": 0.25, "waves": 0.2,
            "clouds": 0.3, "plain": 1.0}  # fmt: skip


@dataclass(frozen=True, eq=False)
class Features:
    """Features and labels of one part: (N, D) float32 and (N,) int64."""

    x: np.ndarray
    y: np.ndarray


@dataclass(frozen=True)
class Dial:
    """A generated representation.

    quality: distance of a class's centre from the origin, in standard deviations of the noise of one
    dimension. classes have equally many images in each part.
    """

    quality: float
    classes: int = 20
    dimensions: int = 256
    seed: int = 0

    def centres(self) -> np.ndarray:
        """(classes, dimensions) float64: orthogonal where there is room, all of length `quality`."""
        drawn = np.random.default_rng([self.seed, 0]).standard_normal((self.dimensions, self.classes))
        if self.classes <= self.dimensions:
            drawn, _ = np.linalg.qr(drawn)
        return self.quality * (drawn / np.linalg.norm(drawn, axis=0)).T

    def draw(self, images: int, part: int) -> Features:
        """`images` of a part (0 train, 1 test, ...); the same call draws the same."""
        rng = np.random.default_rng([self.seed, 1 + part])
        y = np.arange(images) % self.classes
        noise = rng.standard_normal((images, self.dimensions))
        return Features((self.centres()[y] + noise).astype(np.float32), y)

    def best_accuracy(self, draws: int = 20_000) -> float:
        """The accuracy (0 to 1) of the nearest centre, which no method can beat on average; by drawing.

        Only the part of the noise along the centres counts, so few dimensions are drawn.
        """
        centres = self.centres()
        basis, _ = np.linalg.qr(centres.T) if self.quality else (np.eye(self.dimensions, 1), None)
        inner, y = centres @ basis, np.arange(draws) % self.classes
        noise = np.random.default_rng([self.seed, 99]).standard_normal((draws, basis.shape[1]))
        scores = (inner[y] + noise) @ inner.T
        if not self.quality:  # all centres are one: a guess
            return 1 / self.classes
        return float((scores.argmax(1) == y).mean())


def draw_image_set(
    folder: Path,
    clarity: float,
    classes: int = 4,
    train: int = 8,
    test: int = 4,
    side: int = 48,
    seed: int = 0,
) -> None:
    """Writes `train/CLASS/*.png` and `test/CLASS/*.png`: textures, of which colours say nothing.

    clarity: the share of a class's own texture in an image, 0 (nothing but noise that knows no class) to 1.
    train, test: images of each class. At most eight classes. Each image is a function of all arguments.
    """
    names = list(_PERIODS)[:classes]
    for part, count in (("train", train), ("test", test)):
        for number, name in enumerate(names):
            (folder / part / name).mkdir(parents=True)
            for i in range(count):
                rng = np.random.default_rng([seed, part == "test", number, i])
                texture_image(rng, name, clarity, side).save(folder / part / name / f"{i:03}.png")


def texture_image(rng: np.random.Generator, name: str, clarity: float, side: int) -> Image:
    """One such image: a share `clarity` of the texture of that name, and noise."""
    own = fill(rng, Texture(name, _PERIODS[name], 20.0), side, side, side)
    other = mix(rng, rng.standard_normal((side, side)))
    return finish(rng, clarity * own + (1 - clarity) * other)
