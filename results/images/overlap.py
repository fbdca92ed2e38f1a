"""Measures mean intersection over union over resampled images, from pixel counts by image and class."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from results.images.measure import DRAWS, OverImages, draw_counts, exchange_p, exchanged, over_images

STEP = 64  # samples at a time


@dataclass(frozen=True)
class MeanOverlap:
    """The mean IoU of K classes: `hits`, `truth`, `guess` are (n, K) pixel counts by image.

    A class without a pixel of ground truth in a sample is left out of its mean, as the metric does.
    """

    hits: np.ndarray
    truth: np.ndarray
    guess: np.ndarray
    unit: str = "image"
    draws: ClassVar[int] = DRAWS

    @property
    def n(self) -> int:
        """Number of images."""
        return len(self.hits)

    @property
    def cost(self) -> int:
        """Numbers to resample; sums of counts cost little."""
        return 0

    def value(self) -> float:
        """The metric on all images, in per cent."""
        return float(self.at(np.ones((1, self.n)))[0])

    def at(self, counts: np.ndarray) -> np.ndarray:
        """(b,) values in per cent on samples given by (b, n) counts of the images; NaN without any pixel."""
        # float64 adds whole numbers exactly up to 2^53 pixels
        hits, truth, guess = (counts @ part.astype(float) for part in (self.hits, self.truth, self.guess))
        there = truth > 0
        iou = np.divide(hits, truth + guess - hits, out=np.zeros_like(hits), where=there)
        some = there.sum(axis=1)
        return np.where(some > 0, 100.0 * iou.sum(axis=1) / np.maximum(some, 1), np.nan)

    def resampled(self, draws: int | None = None) -> np.ndarray:
        """(draws,) values on bootstrap samples of the images; seeded."""
        return np.concatenate([self.at(counts) for counts in draw_counts(self.n, draws or self.draws, STEP)])

    def compared(self, other: MeanOverlap, draws: int | None = None) -> OverImages | None:
        """This one minus the other on the same images; None where no sample tells them apart."""
        gaps = self.resampled(draws) - other.resampled(draws)
        both = MeanOverlap(
            np.vstack([self.hits, other.hits]),
            np.vstack([self.truth, other.truth]),
            np.vstack([self.guess, other.guess]),
        )
        p = exchange_p(self.n, both.at, self.value() - other.value(), draws or self.draws, STEP)
        return over_images(gaps, p, exchanged(self.n, self.unit, draws or self.draws))
