"""Ranks rows on many data sets and tests the ranks (Demšar, Journal of Machine Learning Research 7, 2006).

Friedman's test asks whether all rows are alike; Iman and Davenport's F is the less cautious form of it that
Demšar recommends. Nemenyi's critical difference is how far apart two mean ranks must be, of all pairs at
once. Wilcoxon's signed-rank test tells a single pair apart and is corrected for the number of pairs (Holm).
The sets are the sample: nothing is said of seeds or of test images here.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

LEVEL = 0.05
ROUNDING = 1e-9  # points; values closer than that are equal


@dataclass(frozen=True)
class Friedman:
    """Chi-squared of mean ranks with its p-value, and Iman and Davenport's F with its own."""

    chi2: float
    p: float
    f: float
    f_p: float


def mid_ranks(values: np.ndarray) -> np.ndarray:
    """Ranks along the first axis, the greatest value 1; equal values share the mean of their ranks.

    values: (k rows, N sets), of float; the result is of the same shape.
    """
    ahead = (values[None] > values[:, None] + ROUNDING).sum(axis=1)
    equal = (np.abs(values[None] - values[:, None]) <= ROUNDING).sum(axis=1)
    return ahead + (equal + 1) / 2


def friedman(ranks: np.ndarray) -> Friedman | None:
    """The test of (k, N) ranks, corrected for ties; None where it says nothing: all ranks tied."""
    from scipy.stats import chi2, f  # half a second, and only where many sets are ranked

    k, n = ranks.shape
    ties = sum(float((t**3 - t).sum()) for t in (np.unique(one, return_counts=True)[1] for one in ranks.T))
    spread = 1 - ties / (n * k * (k**2 - 1))
    if spread <= 0:
        return None
    deviations = ranks.mean(axis=1) - (k + 1) / 2
    statistic = 12 * n / (k * (k + 1)) * float((deviations**2).sum()) / spread
    left = n * (k - 1) - statistic
    ratio = math.inf if left <= ROUNDING else (n - 1) * statistic / left
    return Friedman(
        statistic,
        float(chi2.sf(statistic, k - 1)),
        ratio,
        float(f.sf(ratio, k - 1, (k - 1) * (n - 1))),
    )


def critical_difference(k: int, n: int) -> float:
    """By how much the mean ranks of two of k rows on n sets must differ (Nemenyi, at the 5 % level)."""
    from scipy.stats import studentized_range

    q = float(studentized_range.ppf(1 - LEVEL, k, math.inf)) / math.sqrt(2)
    return q * math.sqrt(k * (k + 1) / (6 * n))


def wilcoxon(differences: np.ndarray) -> tuple[float, int]:
    """Wilcoxon's signed-rank test of (N,) differences: its two-sided p-value, and their sign by these ranks.

    Zeros are left out, ties have mid-ranks. It is exact for any number of sets, ties included, where scipy's
    is exact without ties alone: the sums of all changes of signs are counted, in halves of a rank. n sets
    give no less than 2 / 2^n.
    """
    left = differences[np.abs(differences) > ROUNDING]
    if not len(left):
        return 1.0, 0
    doubled = np.rint(2 * (len(left) + 1 - mid_ranks(np.abs(left)[:, None])[:, 0])).astype(int)
    total = int(doubled.sum())
    share = np.zeros(total + 1)  # by the doubled sum of the ranks of positive signs
    share[0] = 1
    for rank in doubled:
        share[rank:] = (share[rank:] + share[: total + 1 - rank]) / 2
        share[:rank] /= 2
    positive = int(doubled[left > 0].sum())
    least = min(positive, total - positive)
    return float(min(1.0, 2 * share[: least + 1].sum())), int(np.sign(2 * positive - total))


def alike(mean_ranks: np.ndarray, critical: float) -> list[tuple[int, int]]:
    """(first, last) places, by rising mean rank, of the longest runs of rows that are not told apart."""
    ordered = np.sort(mean_ranks)
    runs: list[tuple[int, int]] = []
    for first, rank in enumerate(ordered):
        last = int(np.searchsorted(ordered, rank + critical, side="right")) - 1
        if last > first and (not runs or last > runs[-1][1]):
            runs.append((first, last))
    return runs
