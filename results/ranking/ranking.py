"""Ranks rows over data sets: mean, mean rank, wins, and which rows the tests tell apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from results.errors import RecordError
from results.ranking.friedman import (
    ROUNDING,
    Friedman,
    alike,
    critical_difference,
    friedman,
    mid_ranks,
    wilcoxon,
)
from results.ranking.scores import Scores
from results.tables.paired import holm


@dataclass(frozen=True)
class Place:
    """One row: its mean over the sets, its mean rank, and how it does against the reference, set by set.

    `p`: Wilcoxon's, corrected for the number of rows held against the reference; None without one.
    """

    label: str
    mean: float
    rank: float
    wins: int = 0
    ties: int = 0
    losses: int = 0
    p: float | None = None


@dataclass(frozen=True)
class Ranking:
    """Rows by rising mean rank, with the tests over all of them.

    `runs`: (first, last) places of rows that Nemenyi's test does not tell apart. `pairs`: (better, worse, p)
    of the pairs of rows by Wilcoxon's test, corrected for their number (Holm); those at the 5 % level alone.
    """

    places: tuple[Place, ...]
    sets: tuple[str, ...]
    test: Friedman | None
    critical: float
    runs: tuple[tuple[int, int], ...]
    pairs: tuple[tuple[str, str, float], ...]
    remarks: tuple[str, ...]
    reference: str = ""
    what: str = Scores.what


def rank(scores: Scores, reference: str | None = None) -> Ranking:
    """The ranking of the rows. RecordError: there is no row of the reference's name."""
    if reference and reference not in scores.rows:
        raise RecordError(
            f"no row {reference!r} to hold the others against; there are {', '.join(scores.rows)}"
        )
    ranks = mid_ranks(scores.values)
    mean_ranks, means = ranks.mean(axis=1), scores.values.mean(axis=1)
    k, n = ranks.shape
    places = [Place(*one) for one in zip(scores.rows, means.tolist(), mean_ranks.tolist(), strict=True)]
    if reference:
        places = _against(places, scores.values, scores.rows.index(reference))
    order = sorted(range(k), key=lambda i: (mean_ranks[i], -means[i]))
    critical = critical_difference(k, n)
    return Ranking(
        tuple(places[i] for i in order),
        scores.sets,
        friedman(ranks),
        critical,
        tuple(alike(mean_ranks, critical)),
        _pairs(scores),
        scores.remarks,
        reference or "",
        scores.what,
    )


def _against(places: Sequence[Place], values: np.ndarray, reference: int) -> list[Place]:
    gaps = values - values[reference]
    p = holm([None if i == reference else wilcoxon(gap)[0] for i, gap in enumerate(gaps)])
    return [
        Place(
            place.label,
            place.mean,
            place.rank,
            int((gap > ROUNDING).sum()),
            int((np.abs(gap) <= ROUNDING).sum()),
            int((gap < -ROUNDING).sum()),
            p_holm,
        )
        for place, gap, p_holm in zip(places, gaps, p, strict=True)
    ]


def _pairs(scores: Scores) -> tuple[tuple[str, str, float], ...]:
    k = len(scores.rows)
    both = [(i, j) for i in range(k) for j in range(i + 1, k)]
    tested = [wilcoxon(scores.values[i] - scores.values[j]) for i, j in both]
    p_values = holm([p for p, _ in tested])
    found = []
    for (i, j), p, (_, sign) in zip(both, p_values, tested, strict=True):
        if p is not None and p < 0.05:
            better, worse = (
                (i, j) if sign > 0 else (j, i)
            )  # by ranks, as the test: means may say the opposite
            found.append((scores.rows[better], scores.rows[worse], p))
    return tuple(found)
