"""Takes the gaps of rows to the supervised one, with the intervals and tests of the tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from results.report.dots import Dot
from results.report.html import DOUBTED
from results.tables.cell import less_is_better, signed
from results.tables.compared import kept, row_difference
from results.tables.paired import LEVEL, Difference, holm
from results.tables.suite import Reference, find_baselines, find_reference
from results.tables.trials import Trials

# What a test says of a gap; a gap without one is untested, however large.
BETTER, ALIKE, WORSE, UNTESTED = "better", "no difference shown", "worse", "not tested"
TONES = {BETTER: "good", WORSE: "bad"}
# Why there is no test.
FEW, NO_SPREAD = "too few trials", "no spread"
NO_IMAGES, NOT_RESAMPLED = "one trial, no outcomes by image", "one trial, images not resampled"


@dataclass(frozen=True)
class Gap:
    """A row's gap to the supervised one in one metric.

    The ends of its 95 % interval and the p-values need two trials a side, or their outcomes by image; None
    without them. `p` is `p_alone` corrected for the rows of its suite, or for all that it stands beside
    (Holm); the interval is not. `untested`: why there is none. `over_images`: one trial a side. `network`:
    how the row's differs from the other's in shape.
    """

    label: str
    row: str  # the label without a mark of doubt
    value: float
    ends: tuple[float, float] | None
    p: float | None
    p_alone: float | None
    against: str
    metric: str
    test: str = ""
    untested: str = ""
    over_images: bool = False
    network: str = ""

    @property
    def lower(self) -> bool:
        """Whether less is better."""
        return less_is_better(self.metric)

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
    rows: Sequence[Trials], metric: str, reference: Reference = None, patient: bool = False
) -> list[Gap]:
    """The gaps of all rows that may be compared, the best first; `metric` is a flat name."""
    baselines = find_baselines(rows, reference)
    found = []
    for row in rows:
        against = find_reference(row, baselines)
        if against is None:
            continue
        ours, theirs = row.values(metric), against.values(metric)
        if ours and theirs:
            found.append(_gap(row, against, metric, row_difference(row, against, metric, patient)))
    return sorted(_corrected(found), key=lambda gap: -gap.better)


def corrected_over_all(found: Mapping[str, Sequence[Gap]]) -> dict[str, list[Gap]]:
    """The gaps of all suites, p corrected for the number of all of them, as one sentence goes over them."""
    made = iter(_corrected([gap for of_suite in found.values() for gap in of_suite]))
    return {suite: [next(made) for _ in of_suite] for suite, of_suite in found.items()}


def _corrected(found: Sequence[Gap]) -> list[Gap]:
    p_values = holm([gap.p_alone for gap in found])
    return [replace(gap, p=p) for gap, p in zip(found, p_values, strict=True)]


def _gap(row: Trials, against: Trials, metric: str, made: Difference) -> Gap:
    return Gap(
        row.label + (DOUBTED if row.doubted or against.doubted else ""),
        row.label,
        made.gap,
        made.interval,
        made.p,
        made.p,
        against.label,
        metric,
        made.test,
        "" if made.p is not None else _untested(row, against, metric, made),
        made.over is not None,
        row.other_network(against),
    )


def _untested(row: Trials, against: Trials, metric: str, made: Difference) -> str:
    """Why a gap has no p-value."""
    counts = [len(one.values(metric)) for one in (row, against)]
    if min(counts) > 1 or made.over:
        return NO_SPREAD
    if max(counts) > 1:
        return FEW
    return NOT_RESAMPLED if kept(row, metric) and kept(against, metric) else NO_IMAGES


def gap_dots(found: Sequence[Gap]) -> list[Dot]:
    """The gaps as they are drawn, in their order; each names its reference where there are several."""
    if len({gap.against for gap in found}) < 2:
        return [gap.dot for gap in found]
    return [replace(gap.dot, label=f"{gap.label} to {gap.against}") for gap in found]
