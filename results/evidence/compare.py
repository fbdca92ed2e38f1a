"""Holds one row against another in every suite that has both: gap, 95 % interval, tests, and what to mind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from results.errors import RecordError
from results.tables.cell import signed
from results.tables.compared import INTERVAL as OF_IMAGES
from results.tables.compared import image_notes, row_difference, row_interval
from results.tables.paired import Difference, holm, pair_differences, sign_flip_p
from results.tables.significance import Summary, summarize
from results.tables.suite import EMULATED, NETWORK
from results.tables.trials import Trials

FORMATS = "its trials and those it is held against were not all trained in one number format"
LEAST_P = 0.0001  # smaller ones are told apart by nobody
HOLM = "Holm: p corrected for the {n} lines above"
INTERVAL = "95 % interval of the gap by the same test, not corrected"
FLIP = (
    "sign-flip: exact, needs no normal distribution; n pairs cannot give less than 2 / 2^n (5 pairs: 0.062)"
)


@dataclass(frozen=True)
class Compared:
    """Two rows in one metric of one suite; `flip`: the sign-flip test's p-value, `remarks`: what to mind."""

    suite: str
    metric: str
    labels: tuple[str, str]
    ours: Summary
    theirs: Summary
    found: Difference
    flip: float | None
    remarks: tuple[str, ...] = ()
    p_holm: float | None = None
    # 95 % intervals of the two rows over test images, where each is one trial
    ends: tuple[tuple[float, float] | None, tuple[float, float] | None] = (None, None)

    @property
    def text(self) -> str:
        """As people say it: "x1: moco - random: AP +9.4 [+7.1, +11.7], paired t over 5 seeds p = 0.0004"."""
        said = f"{self.suite}: {self.labels[0]} - {self.labels[1]}: {self.metric} {signed(self.found.gap)}"
        if self.found.p is None:
            return f"{said}, not tested: fewer than 2 trials or no spread"
        said += f" {interval_text(self.found)}, {self.found.test} {p_text(self.found.p)}"
        if self.p_holm is not None and self.p_holm != self.found.p:
            said += f" (Holm {p_number(self.p_holm)})"
        if self.found.over is not None:
            mid = self.found.over.mid_p
            said += "" if mid is None else f", mid-p {p_number(mid)}"
            said += f", sees gaps from {self.found.over.seen:.1f}"
        return said if self.flip is None else f"{said}, sign-flip {p_text(self.flip)}"

    @property
    def fields(self) -> list[str]:
        """The texts of the columns of HEADS; the row's label is without the marks of the remarks."""
        rows = [summary_text(*one) for one in zip((self.ours, self.theirs), self.ends, strict=True)]
        gap = [signed(self.found.gap), interval_text(self.found)]
        over = self.found.over
        mid = over.mid_p if over else None
        p_values = [p_number(p) for p in (self.found.p, self.p_holm, self.flip, mid)]
        p_values.append(f"{over.seen:.1f}" if over else "-")
        return [self.suite, self.metric, self.labels[0], *rows, *gap, self.found.test or "-", *p_values]


HEADS = [
    *("suite", "metric", "row", "its mean", "mean of {against}", "gap", "95 % interval"),
    *("test", "p", "p (Holm)", "p (sign-flip)", "p (mid-p)", "sees"),
]


def compare(ours: Trials, theirs: Trials, metric: str) -> Compared | None:
    """The comparison of two rows of a suite, `metric` a flat name; None where one has no value of it."""
    a, b = ours.values(metric), theirs.values(metric)
    if not a or not b:
        return None
    pairs = pair_differences(a, b)
    remarks = [f"{row.label}: {doubt}" for row in (ours, theirs) for doubt in row.doubts]
    remarks += [ours.pretrainings] if ours.pretrainings else []  # without a label: the notes of lines are one
    remarks += [f"{theirs.label}: {theirs.pretrainings}"] if theirs.pretrainings else []
    remarks += dict.fromkeys(EMULATED.format(formats=row.emulated) for row in (ours, theirs) if row.emulated)
    if len(ours.formats | theirs.formats) > 1:
        remarks.append(FORMATS)
    differing = ours.differs_from(theirs)
    if differing:
        remarks.append(f"{ours.label} and {theirs.label} have different {', '.join(differing)}")
    elif shape := ours.other_network(theirs):
        remarks.append(NETWORK.format(reference=theirs.label, shape=shape))
    remarks += dict.fromkeys(
        f"not comparable with published numbers: {why}" for why in (*ours.reasons, *theirs.reasons)
    )
    for row in (ours, theirs):
        rest = [f"{n} {state}" for state, n in row.states.items() if state != "finished"]
        remarks += [f"{row.label}: {', '.join(rest)}"] if rest else []
    remarks += [note for note in image_notes([ours, theirs], [metric], patient=True) if note != OF_IMAGES]
    found = row_difference(ours, theirs, metric)
    means = [summarize([value for _, value in row]) for row in (a, b)]
    return Compared(
        ours.suite,
        metric,
        (ours.label, theirs.label),
        means[0],
        means[1],
        found,
        sign_flip_p(pairs) if pairs else None,
        tuple(remarks),
        ends=(row_interval(ours, metric), row_interval(theirs, metric)),
    )


def corrected(lines: Sequence[Compared]) -> list[Compared]:
    """The lines with their p-values corrected for the number of the tested ones among them."""
    p_values = holm([line.found.p for line in lines])
    return [replace(line, p_holm=p) for line, p in zip(lines, p_values, strict=True)]


def compare_suites(
    suites: Mapping[str, Sequence[Trials]],
    names: tuple[str, str],
    metrics: Sequence[str] | None = None,
) -> list[Compared]:
    """Two rows, by label or init, in all suites that have both; in the primary metric or in those named.

    RecordError: no suite has both, or a name means several rows of one.
    """
    lines = []
    for suite, rows in suites.items():
        found = [find_row(rows, name, suite) for name in names]
        ours, theirs = found
        if ours is None or theirs is None:
            continue
        wanted = metrics or [ours.records[0]["primary"]]
        lines += [line for metric in wanted if (line := compare(ours, theirs, metric)) is not None]
    if not lines:
        there = "; ".join(
            f"{suite}: {', '.join(row.label for row in rows)}" for suite, rows in suites.items()
        )
        what = f"{' and '.join(map(repr, names))} in {', '.join(metrics or ['its primary metric'])}"
        raise RecordError(f"no suite has numbers of both {what}; the rows are {there}")
    return corrected(lines)


def find_row(rows: Sequence[Trials], name: str, suite: str) -> Trials | None:
    """The row of that label, or else of that init; None where there is none. RecordError: several."""
    found = [row for row in rows if row.label == name] or [row for row in rows if row.init == name]
    if len(found) > 1:
        labels = ", ".join(repr(row.label) for row in found)
        raise RecordError(f"{name!r} means {len(found)} rows of {suite}; name one of {labels}")
    return found[0] if found else None


def summary_text(summary: Summary, ends: tuple[float, float] | None = None) -> str:
    """As the tables print it: "55.9 ± 0.2 (5)", "55.9 [54.8, 57.1] (1)"."""
    spread = "" if summary.std is None else f" ± {summary.std:.1f}"
    spread += f" [{ends[0]:.1f}, {ends[1]:.1f}]" if ends else ""
    return f"{summary.mean:.1f}{spread} ({summary.n})"


def interval_text(found: Difference) -> str:
    """ "[+7.1, +11.7]", or "-" where there is none."""
    ends = found.interval
    return "-" if ends is None else f"[{signed(ends[0])}, {signed(ends[1])}]"


def p_text(p: float) -> str:
    """ "p = 0.031"; "p < 0.0001" for what is smaller."""
    number = p_number(p)
    return f"p {number}" if number.startswith("<") else f"p = {number}"


def p_number(p: float | None) -> str:
    """ "0.031", "< 0.0001", or "-" where there is none."""
    if p is None:
        return "-"
    return f"< {LEAST_P}" if p < LEAST_P else f"{p:.2g}"
