"""Measures that are means over images: accuracy, mean per class, mean over queries or episodes.

Within a class all images that score alike are drawn together, as a multinomial number: a bootstrap of 50,000
images costs milliseconds and is the same distribution.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from results.images.measure import OverImages, counted, over_images
from results.images.signs import mcnemar, sign_flip

ALIKE = 64  # different scores of a class, up to which they are drawn by their numbers
BLOCK = 4_000_000  # scores drawn at a time


@dataclass(frozen=True)
class MeanOf:
    """The mean over classes of the mean of `scores`, (n,) in [0, 1] by image; one class is the plain mean.

    `classes`: (n,) whole numbers; samples are drawn within a class, as the test set's sizes are given.
    """

    scores: np.ndarray
    classes: np.ndarray
    unit: str = "image"
    draws: ClassVar[int] = 10_000

    @property
    def n(self) -> int:
        """Number of images (queries, episodes)."""
        return len(self.scores)

    @property
    def weights(self) -> np.ndarray:
        """(n,) by which the scores add up to the metric."""
        _, place, sizes = np.unique(self.classes, return_inverse=True, return_counts=True)
        return 1.0 / (sizes[place] * len(sizes))

    @property
    def cost(self) -> int:
        """Numbers to resample; drawn by their counts, they cost nothing."""
        return 0

    def value(self) -> float:
        """The metric in per cent."""
        _, place, sizes = np.unique(self.classes, return_inverse=True, return_counts=True)
        return 100.0 * float((np.bincount(place, self.scores) / sizes).mean())

    def resampled(self, draws: int | None = None) -> np.ndarray:
        """(draws,) values on bootstrap samples, drawn within the classes; seeded."""
        draws, rng = draws or self.draws, np.random.default_rng(0)
        names, place, sizes = np.unique(self.classes, return_inverse=True, return_counts=True)
        alone = sizes == 1  # a class of one image has no spread of its own: these are drawn as one
        parts = [(self.scores[place == number], 1) for number in np.flatnonzero(~alone)]
        if alone.any():
            parts.append((self.scores[alone[place]], int(alone.sum())))
        total = np.zeros(draws)
        for scores, classes in parts:
            # (m - 1) / m of the variance is within a sample of m
            wide = math.sqrt(len(scores) / max(1, len(scores) - 1))
            total += classes * (scores.mean() + wide * (_drawn_means(scores, draws, rng) - scores.mean()))
        return 100.0 * total / len(names)

    def compared(self, other: MeanOf, draws: int | None = None) -> OverImages | None:
        """This one minus the other, on the same images in the same order; None without any difference."""
        gaps = MeanOf(self.scores - other.scores, self.classes, self.unit)
        parts, drawn = gaps.scores * gaps.weights, gaps.resampled(draws)
        over = f"over {counted(self.n, self.unit)}"
        if len(np.unique(np.abs(parts[parts != 0]))) > 1:
            return over_images(drawn, sign_flip(parts), f"paired permutation {over}")
        exact, mid = mcnemar(int((parts > 0).sum()), int((parts < 0).sum()))
        return over_images(drawn, exact, f"McNemar's exact test {over}", mid)


def _drawn_means(scores: np.ndarray, draws: int, rng: np.random.Generator) -> np.ndarray:
    """(draws,) means of bootstrap samples of the scores."""
    n = len(scores)
    values, times = np.unique(scores, return_counts=True)
    if len(values) <= ALIKE:
        return rng.multinomial(n, times / n, size=draws) @ values / n
    step = max(1, BLOCK // n)
    blocks = [
        scores[rng.integers(0, n, (min(step, draws - start), n))].mean(axis=1)
        for start in range(0, draws, step)
    ]
    return np.concatenate(blocks)
