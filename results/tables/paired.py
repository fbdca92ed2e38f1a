"""Compares two rows over their trials: pair by pair where they share their seeds, by Welch's test elsewhere.

The rule that makes the stars, stated in every legend: trials with one seed draw their images and their new
layers alike, so where both rows have the same seeds, each once, the differences of the pairs are tested
(Student's t over the pairs). Elsewhere it is Welch's test over trials. The rule never looks at the numbers.

The sign-flip test (Fisher, The Design of Experiments, 1935, section 21) needs no normal distribution. It is
shown beside the other and makes no stars: with n pairs its p-value is at least 2 / 2^n.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from results.tables.significance import (
    ROUNDING,
    Summary,
    student_t_two_sided,
    summarize,
    t_quantile,
    welch_df,
    welch_p,
)

if TYPE_CHECKING:
    from results.images.measure import OverImages

LEVEL = 0.05  # of the tests and, as 1 - LEVEL, of the intervals
MOST_PAIRS = 16  # of the sign-flip test: 2^15 sums


@dataclass(frozen=True)
class Difference:
    """A difference of means in points, with its test.

    `over_trials`: the p-value needs two values a side and a spread; None without them. `error`, `df`:
    standard error and degrees of freedom of the test. `pairs`: how many pairs were tested; 0 is Welch's test.
    `over`: the test over images of two single trials, which have none over trials.
    """

    gap: float
    over_trials: float | None = None
    error: float = 0.0
    df: float = 0.0
    pairs: int = 0
    over: OverImages | None = None

    @property
    def p(self) -> float | None:
        """The p-value of the test, over trials or over images; None where there was none."""
        return self.over.p if self.over else self.over_trials

    @property
    def seen(self) -> float | None:
        """The smallest gap that a test over images could have seen; None for tests over trials."""
        return self.over.seen if self.over else None

    @functools.cached_property
    def half(self) -> float | None:
        """Half of the 95 % interval over trials; None without a test. It costs sixty tests."""
        return None if self.over_trials is None else t_quantile(LEVEL, self.df) * self.error

    @property
    def test(self) -> str:
        """The test in words: "paired t over 5 seeds"; empty where there is none."""
        if self.over:
            return self.over.test
        if self.over_trials is None:
            return ""
        return f"paired t over {self.pairs} seeds" if self.pairs else "Welch's t over trials"

    @property
    def interval(self) -> tuple[float, float] | None:
        """Both ends of the 95 % interval of the difference."""
        if self.over:
            return self.over.interval
        return None if self.half is None else (self.gap - self.half, self.gap + self.half)


# (seed, value) of each trial
Values = tuple[tuple[int, float], ...]


@functools.lru_cache(maxsize=100_000)  # suite tables and the papers' tables hold the same rows
def difference(ours: Values, theirs: Values) -> Difference:
    """The mean of ours minus that of theirs; each has at least one value."""
    pairs = pair_differences(ours, theirs)
    if pairs is None:
        return _welch(*(summarize([value for _, value in row]) for row in (ours, theirs)))
    pair = summarize(pairs)
    if pair.std is None or pair.std < ROUNDING:
        return Difference(pair.mean, pairs=pair.n)
    error, df = pair.std / math.sqrt(pair.n), pair.n - 1
    p = student_t_two_sided(pair.mean / error, df)
    return Difference(pair.mean, p, error, df, pair.n)


def pair_differences(ours: Values, theirs: Values) -> list[float] | None:
    """Ours minus theirs by seed; None where the two have not the same seeds, each once."""
    mine, others = dict(ours), dict(theirs)
    if mine.keys() != others.keys() or not len(mine) == len(ours) == len(theirs):
        return None
    return [mine[seed] - others[seed] for seed in sorted(mine)]


def _welch(a: Summary, b: Summary) -> Difference:
    p = welch_p(a, b)
    if p is None or a.std is None or b.std is None:
        return Difference(a.mean - b.mean)
    error = math.sqrt(a.std**2 / a.n + b.std**2 / b.n)
    return Difference(a.mean - b.mean, p, error, welch_df(a, b))


def sign_flip_p(differences: Sequence[float]) -> float | None:
    """Exact two-sided p-value of the mean of 2 to MOST_PAIRS differences over all changes of their signs.

    It is the share of the 2^n changes whose mean is at least as far from 0. None: fewer pairs, or more.
    """
    if not 2 <= len(differences) <= MOST_PAIRS:
        return None
    sums = [differences[0]]  # the sign of the first is left: all sums have their mirror image
    for value in differences[1:]:
        sums = [total + signed for total in sums for signed in (value, -value)]
    least = abs(math.fsum(differences)) - ROUNDING
    return sum(abs(total) >= least for total in sums) / len(sums)


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """The p-values corrected for their number (Holm, Scandinavian Journal of Statistics 6, 1979).

    With them, the chance that any of the tests is called significant by accident stays below the level. A
    None is no test: it stays, and does not count.
    """
    tested = sorted((p, i) for i, p in enumerate(p_values) if p is not None)
    corrected: list[float | None] = [None] * len(p_values)
    largest = 0.0
    for rank, (p, i) in enumerate(tested):
        corrected[i] = largest = max(largest, min(1.0, (len(tested) - rank) * p))
    return corrected
