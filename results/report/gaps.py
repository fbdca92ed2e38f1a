"""Takes the gaps of rows to the supervised one, with the intervals and tests of the tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from results.report.dots import Dot
from results.report.html import DOUBTED
from results.tables.cell import less_is_better, signed
from results.tables.compared import row_difference
from results.tables.paired import LEVEL, holm
from results.tables.suite import find_baselines, find_reference
from results.tables.trials import Trials

# What a test says of a gap; a gap without one is untested, however large.
BETTER, ALIKE, WORSE, UNTESTED = "better", "no difference shown", "worse", "not tested"
TONES = {BETTER: "good", WORSE: "bad"}


@dataclass(frozen=True)
class Gap:
    """A row's gap to the supervised one in one metric.

    The ends of its 95 % interval and the p-value `p` need two trials a side, or their outcomes by image; None
    without them. `p` is corrected for the number of rows (Holm), the interval is not.
    """

    label: str
    row: str  # the label without a mark of doubt
    value: float
    ends: tuple[float, float] | None
    p: float | None
    against: str
    test: str = ""
    lower: bool = False  # less is better

    @property
    def better(self) -> float:
        """The gap in the direction in which more is better."""
        return -self.value if self.lower else self.value

    @property
    def verdict(self) -> str:
        """The word of the test: BETTER, ALIKE, WORSE or UNTESTED."""
        if self.p is None:
            return UNTESTED
        if self.p >= LEVEL:
            return ALIKE
        return BETTER if self.better > 0 else WORSE

    @property
    def text(self) -> str:
        """The gap with half of its interval, the longer part of one that is not even: "+3.0 ± 0.3"."""
        if self.ends is None:
            return signed(self.value)
        return f"{signed(self.value)} ± {max(self.ends[1] - self.value, self.value - self.ends[0]):.1f}"

    @property
    def dot(self) -> Dot:
        """The gap as it is drawn."""
        return Dot(self.label, self.value, self.ends, self.text, TONES.get(self.verdict, ""))


def gaps(
    rows: Sequence[Trials], metric: str, reference: str | None = None, patient: bool = False
) -> list[Gap]:
    """The gaps of all rows that may be compared, the best first; `metric` is a flat name."""
    baselines, lower = find_baselines(rows, reference), less_is_better(metric)
    found = []
    for row in rows:
        against = find_reference(row, baselines)
        if against is None:
            continue
        ours, theirs = row.values(metric), against.values(metric)
        if ours and theirs:
            label = row.label + (DOUBTED if row.doubted or against.doubted else "")
            made = row_difference(row, against, metric, patient)
            found.append(
                Gap(label, row.label, made.gap, made.interval, made.p, against.label, made.test, lower)
            )
    corrected = holm([gap.p for gap in found])
    found = [replace(gap, p=p) for gap, p in zip(found, corrected, strict=True)]
    return sorted(found, key=lambda gap: -gap.better)
