"""Resamples test images: intervals of a metric, and of the difference of two rows on the same images.

A bootstrap sample draws as many images as there are, with replacement; the interval is that of the
percentiles (Efron, Annals of Statistics 7, 1979). Of a single row it is moved by the mean of the samples less
what was observed: an average precision is higher where images are drawn twice (by 1 to 2 points at 370
images), which a gap of two rows is not. Efron's BCa would correct its skew, but needs the metric without each
image: 5,000 evaluations of COCO for one interval. For shares of 2,000 images the ends of both differ by less
than 0.2 points (tests).

The test exchanges the two networks on random images and leaves the images as they are: where it makes no
difference which of the two predicted, the observed gap is one of these gaps. Neither test nor interval knows
of seeds: they tell how these weights would do on other images, and nothing of another fine-tuning.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

LEVEL = 0.05
DRAWS = 1000  # bootstrap samples, and exchanges of networks, where each costs an evaluation
EXCHANGED = 10  # images, up to which all exchanges are gone through: 2^9 pairs of evaluations
ROUNDING = 1e-9  # points
# Of a normal distribution: a test at LEVEL sees a gap of so many standard errors in 80 % of all cases.
SEEN = 1.959964 + 0.841621


@dataclass(frozen=True)
class OverImages:
    """A difference over images: p-value, 95 % interval, and the smallest gap that the test could have seen.

    `test`: which it was, in words. `seen`: the gap that it finds at p < 0.05 in 80 % of all cases,
    uncorrected; from the standard error of the bootstrap. `mid_p`: McNemar's less cautious p-value, where
    there is one.
    """

    p: float
    interval: tuple[float, float]
    seen: float
    test: str
    mid_p: float | None = None


def interval(values: np.ndarray, observed: float | None = None) -> tuple[float, float] | None:
    """The 95 % percentile interval of resampled values; None where they have no spread or most are undefined.

    All right or all wrong has no spread: an interval of no width would claim more than the images can tell.
    Around the per cent that were `observed`, if given, in place of the mean of the resampled values.
    """
    defined = values[np.isfinite(values)]
    if len(defined) < len(values) / 2 or np.ptp(defined) < ROUNDING:
        return None
    low, high = np.quantile(defined, [LEVEL / 2, 1 - LEVEL / 2])
    if observed is None:
        return float(low), float(high)
    bias = float(defined.mean()) - observed
    return max(0.0, float(low) - bias), min(100.0, float(high) - bias)


def over_images(gaps: np.ndarray, p: float, test: str, mid_p: float | None = None) -> OverImages | None:
    """The difference of two rows from resampled gaps and a p-value; None where the gaps have no spread."""
    ends = interval(gaps)
    if ends is None:
        return None
    return OverImages(p, ends, SEEN * float(np.nanstd(gaps, ddof=1)), test, mid_p)


def draw_counts(n: int, draws: int, step: int) -> Iterator[np.ndarray]:
    """(<= step, n) int32 blocks of how often each image is in each of `draws` bootstrap samples; seeded.

    The same n and draws give the same samples, so two rows are resampled alike.
    """
    rng = np.random.default_rng(0)
    for start in range(0, draws, step):
        size = min(step, draws - start)
        drawn = rng.integers(0, n, (size, n)) + n * np.arange(size)[:, None]
        yield np.bincount(drawn.ravel(), minlength=size * n).reshape(size, n).astype(np.int32)


def exchange_p(n: int, both: Callable[[np.ndarray], np.ndarray], gap: float, draws: int, step: int) -> float:
    """Two-sided p-value of the gap over exchanges of two networks on images.

    `both`: values at (b, 2n) counts over the images as the one network sees them and then as the other does.
    Up to EXCHANGED images all exchanges count; beyond, `draws` random ones and the observed, `step` at once.
    """
    if n <= EXCHANGED:
        # the first image stays: the other half are mirror images
        flips = (np.arange(2 ** (n - 1))[:, None] >> np.arange(n)) & 1
    else:
        flips = np.random.default_rng(1).integers(0, 2, (draws, n))
    far = 0
    for start in range(0, len(flips), step):
        theirs = flips[start : start + step].astype(np.int32)
        ours = 1 - theirs
        gaps = both(np.hstack([ours, theirs])) - both(np.hstack([theirs, ours]))
        far += int((np.abs(gaps) >= abs(gap) - ROUNDING).sum())
    return far / len(flips) if n <= EXCHANGED else (far + 1) / (draws + 1)


def exchanged(n: int, unit: str, draws: int) -> str:
    """The test of `exchange_p` in words, with the least p-value that it can give where it draws."""
    least = f" (p from {1 / (draws + 1):.1g})" if n > EXCHANGED else ""
    return f"networks exchanged over {counted(n, unit)}{least}"


def counted(n: int, unit: str) -> str:
    """The units of a test in words: 1000 images, 70 queries."""
    return f"{n} {f'{unit[:-1]}ie' if unit.endswith('y') else unit}s"
