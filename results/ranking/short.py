"""Holds a few data sets against many: whether the mean ranks of rows on the few are those on all others.

Spearman's correlation of the two mean ranks is never of a part with its whole: a set stands on one side. Its
interval is Bonett and Wright's (Psychometrika 65, 2000) and takes the rows for a sample of networks; what
stood highest by chance among many candidates is too high, which `left_out` corrects.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from typing import TYPE_CHECKING

from results.errors import RecordError

if TYPE_CHECKING:
    import numpy as np

    from results.tables.trials import Trials

# The suites of `--suite short`; docs/frozen.md says how they were chosen.
SHORT = (
    "logreg_dtd",
    "logreg_flowers",
    "logreg_pets",
    "voc07_svm",
    "fewshot_dtd",
    "fewshot_flowers",
    "fewshot_pets",
)
LEAST_ROWS = 3  # of two, ranks are equal or reversed
NORMAL = 1.959964  # of 95 %
SLACK = 0.01  # of correlation, that the cheapest choice may be below the best of any cost
TOLD = "short suite against the {many} other {kind}: rank correlation {rho:.2f}{interval} over {rows} rows"
KINDS = {True: "suites of frozen features", False: "suites that are fine-tuned"}


@dataclass(frozen=True)
class Agreement:
    """Spearman's correlation over `rows` rows, with its 95 % interval; none below four rows."""

    rho: float
    rows: int

    @property
    def interval(self) -> tuple[float, float] | None:
        """Of the correlation's inverse hyperbolic tangent; 1 counts as half a step below it."""
        n = self.rows
        if n < 4:
            return None
        most = 1 - 6 / (n * (n * n - 1))  # half of what one exchange of neighbours costs
        rho = min(max(self.rho, -most), most)
        half = NORMAL * math.sqrt((1 + rho * rho / 2) / (n - 3))
        return math.tanh(math.atanh(rho) - half), math.tanh(math.atanh(rho) + half)

    def __str__(self) -> str:
        if self.interval is None:
            return f"{self.rho:.3f}"
        low, high = self.interval
        return f"{self.rho:.3f} [{low:.2f}, {high:.2f}]"


def agreement(values: np.ndarray, few: Sequence[int], many: Sequence[int]) -> Agreement:
    """Holds the columns `few` of values (rows, sets), more is better, against the columns `many`."""
    from results.ranking.friedman import mid_ranks

    return _of_ranks(mid_ranks(values), few, many)


def _of_ranks(ranks: np.ndarray, few: Sequence[int], many: Sequence[int]) -> Agreement:
    if not few or not many or set(few) & set(many):
        raise RecordError("expected a set or more on each side, and none on both")
    return _spearman(ranks[:, list(few)].mean(1), ranks[:, list(many)].mean(1))


def _spearman(one: np.ndarray, other: np.ndarray) -> Agreement:
    import numpy as np

    from results.ranking.friedman import mid_ranks

    a, b = mid_ranks(np.stack([one, other], 1)).T
    if not a.std() or not b.std():
        return Agreement(0.0, len(one))  # all rows are alike: nothing agrees
    return Agreement(float(np.corrcoef(a, b)[0, 1]), len(one))


def short_lines(suites: Mapping[str, Sequence[Trials]]) -> list[str]:
    """Says how the short suite agrees with the other frozen suites, and with the fine-tuned ones.

    There is no line without all of the short suite, another suite, and LEAST_ROWS rows that have both.
    """
    if not set(SHORT) <= set(suites):
        return []
    lines, sets = [], {_tested_on(suites[one]) for one in SHORT}
    for frozen, kind in KINDS.items():
        others = [
            one
            for one, rows in suites.items()
            if one not in SHORT and rows[0].frozen == frozen and _tested_on(rows) not in sets
        ]
        if others:
            lines += _told({one: suites[one] for one in (*SHORT, *others)}, kind)
    return lines


def _tested_on(rows: Sequence[Trials]) -> str:
    """The test set of a suite: one of the short suite's does not stand on the other side, too."""
    return str((rows[0].records[0]["data"].get("test") or {}).get("name", rows[0].records[0]["suite"]))


def _told(suites: Mapping[str, Sequence[Trials]], kind: str) -> list[str]:
    from results.ranking.scores import our_scores

    whole = set.intersection(*({row.label for row in rows} for rows in suites.values()))
    try:
        scores = our_scores(suites, [label for label in _labels(suites) if label in whole] or None)
    except RecordError:
        return []
    of_suite = [name.partition(" ")[0] for name in scores.sets]
    few = [i for i, suite in enumerate(of_suite) if suite in SHORT]
    many = [i for i, suite in enumerate(of_suite) if suite not in SHORT]
    if len(few) < len(SHORT) or not many or len(scores.rows) < LEAST_ROWS:
        return []
    found = agreement(scores.values, few, many)
    ends = found.interval
    interval = " (no interval below four rows)" if ends is None else " [{:.2f}, {:.2f}]".format(*ends)
    return [TOLD.format(many=len(many), kind=kind, rho=found.rho, interval=interval, rows=found.rows)]


def _labels(suites: Mapping[str, Sequence[Trials]]) -> list[str]:
    return list(dict.fromkeys(row.label for rows in suites.values() for row in rows))


@dataclass(frozen=True)
class Panel:
    """A published table: rows on columns, each the `data` set that it is of; `cheap` are those we may take.

    values: (rows, columns), more is better. cheap: whether our suites have the column.
    """

    values: np.ndarray
    data: tuple[str, ...]
    cheap: tuple[bool, ...]

    @cached_property
    def ranks(self) -> np.ndarray:
        """Of the rows on each column."""
        from results.ranking.friedman import mid_ranks

        return mid_ranks(self.values)

    def agrees(self, taken: Collection[str], on: Collection[str] = ()) -> Agreement:
        """The columns of the sets `taken` against those of all others, or of the sets `on`."""
        few = [i for i, name in enumerate(self.data) if name in taken and self.cheap[i]]
        many = [i for i, name in enumerate(self.data) if name not in taken and (not on or name in on)]
        return _of_ranks(self.ranks, few, many)

    def without(self, name: str) -> Panel:
        """The table without a data set."""
        kept = [i for i, one in enumerate(self.data) if one != name]
        return Panel(
            self.values[:, kept], tuple(self.data[i] for i in kept), tuple(self.cheap[i] for i in kept)
        )


@dataclass(frozen=True)
class Choice:
    """Some sets, what they cost together, and their mean correlation over the panels."""

    taken: tuple[str, ...]
    cost: float
    rho: float


def frontier(panels: Sequence[Panel], costs: Mapping[str, float]) -> list[Choice]:
    """The best choice of sets of each cost, by rising cost; one that costs more is better."""
    found: list[Choice] = []
    for choice in sorted(_choices(panels, costs), key=lambda one: (one.cost, -one.rho)):
        if not found or choice.rho > found[-1].rho + 1e-12:
            found.append(choice)
    return found


def chosen(line: Sequence[Choice]) -> Choice:
    """Of a `frontier` the cheapest whose correlation is at most SLACK below the best of any cost."""
    return next(one for one in line if one.rho >= line[-1].rho - SLACK)


def left_out(panels: Sequence[Panel], costs: Mapping[str, float]) -> dict[str, tuple[Choice, float]]:
    """For each set: what would be chosen without it, and the correlation of that with the ranks on it."""
    found = {}
    for name in costs:
        rest = [panel.without(name) for panel in panels]
        choice = chosen(frontier(rest, {one: cost for one, cost in costs.items() if one != name}))
        found[name] = choice, _mean([panel.agrees(choice.taken, {name}).rho for panel in panels])
    return found


def _choices(panels: Sequence[Panel], costs: Mapping[str, float]) -> Iterator[Choice]:
    for count in range(1, len(costs)):
        for taken in combinations(costs, count):
            rho = _mean([panel.agrees(taken).rho for panel in panels])
            yield Choice(taken, sum(costs[name] for name in taken), rho)


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
