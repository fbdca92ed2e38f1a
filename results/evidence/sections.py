"""Makes the parts of a study's page beside its tables: curves, frozen features, correlations, classes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from results.evidence.breakdown import Part, breakdowns
from results.evidence.compare import p_text
from results.evidence.figures import gaps, length_figure, schedule_figure
from results.evidence.printed import gain_matrix, marked
from results.evidence.ranks import EXACT, LEAST, Correlation, correlation, kendall, spearman
from results.evidence.study import Study
from results.tables.cell import signed
from results.tables.checkpoint_names import length_of
from results.tables.compared import row_difference
from results.tables.grid import Table
from results.tables.lengths import Curve, length_curves, mean_interval, schedule_curves
from results.tables.markdown import md_block
from results.tables.trials import Trials

INTERVALS = "mean [its 95 % interval over trials] (trials)"
MANY, TOLD = 6, 0.05  # of more rows, those are broken down whose gap has a smaller p
FEWER = (
    "of {n} rows, those whose {metric} is told from {against} at p < {p:g}, uncorrected; the lines of all "
    "{n} count as tested"
)
GAPS = "; then the gap to {0} [its 95 % interval]"
RANKS = (
    "over rows; p: two-sided permutation test, exact up to {exact} rows; [95 % interval]: bootstrap over "
    "rows. Rows are no independent draws: checkpoints of one run rise together. The trials' noise is left "
    "out, and p is not corrected for the number of lines"
)


@dataclass(frozen=True)
class Section:
    """A part of a study's page in Markdown, with its figure where it has one."""

    title: str
    text: str
    figure: bytes = b""
    figure_name: str = ""


def schedules(study: Study) -> Iterator[Section]:
    """Curves over the length of fine-tuning, with their numbers."""
    for curve in schedule_curves(study.groups):
        any_row = next(iter(curve.lines.values()))[0].row
        references = study.references(study.groups[any_row.suite])
        init = references[0].init if references and references[0].init in curve.lines else ""
        text = _numbers(curve, init)
        title = f"{curve.title}: {curve.metric} over the length of the schedule"
        yield Section(title, text, schedule_figure(curve, references), f"schedule-{curve.title}")


def _numbers(curve: Curve, reference: str) -> str:
    lengths = sorted({point.x for points in curve.lines.values() for point in points})
    rows, marks = [], Table("", [], [])
    for label, points in curve.lines.items():
        by_length = {point.x: mean_interval(point.row, curve.metric) for point in points}
        differences = gaps(curve, label, reference) if reference and label != reference else []
        by_gap = {x: f"; {signed(gap)}{_ends(gap, half)}" for x, gap, half in differences}
        shown = marked(label, (point.row for point in points), marks)
        rows.append([shown, *(_mean(by_length.get(x)) + by_gap.get(x, "") for x in lengths)])
    notes = [*marks.marked_notes, INTERVALS + (GAPS.format(reference) if reference else "")]
    return _untitled(["row", *(f"{x:g} iterations" for x in lengths)], rows, notes)


def _mean(found: tuple[float, float, int] | None) -> str:
    if found is None:
        return "-"
    mean, half, n = found
    ends = f" [{mean - half:.1f}, {mean + half:.1f}]" if half else ""
    return f"{mean:.1f}{ends} ({n})"


def _ends(gap: float, half: float) -> str:
    return f" [{signed(gap - half)}, {signed(gap + half)}]" if half else ""


def lengths(study: Study) -> Iterator[Section]:
    """Curves over the length of pre-training; their numbers are in the tables and under "Frozen features"."""
    said = study.said.get("lengths", {})
    curves = length_curves(study.groups, said)
    if not curves:
        return
    inits = {init for values in study.frozen.values() for init in values}
    known = {init: found[0] for init in inits if (found := length_of(init, said)) is not None}
    frozen = {name: values for name, values in study.frozen.items() if known.keys() & values.keys()}
    rows, marks = [], Table("", [], [])
    for curve in curves:
        points = [point for line in curve.lines.values() for point in line]
        for point in {id(point.row): point for point in points}.values():
            shown = _mean(mean_interval(point.row, curve.metric))
            label = marked(point.row.label, [point.row], marks)
            rows.append([curve.title, curve.metric, f"{point.x:g}", label, shown])
    text = _untitled(
        ["suite", "metric", curves[0].x_name, "row", "mean"], rows, [*marks.marked_notes, INTERVALS]
    )
    yield Section("Over the length of pre-training", text, length_figure(curves, frozen, known), "length")


def frozen_features(study: Study) -> Iterator[Section]:
    """Accuracies of frozen features by init."""
    if study.frozen:
        inits = sorted({init for values in study.frozen.values() for init in values})
        rows = [
            [init, *(f"{values[init]:.1f}" if init in values else "-" for values in study.frozen.values())]
            for init in inits
        ]
        notes = [f"{column}: {how}" for column, how in study.protocols.items() if how]
        notes.append("top-1 in per cent, one measurement each")
        yield Section("Frozen features", _untitled(["init", *study.frozen], rows, notes))


def correlations(study: Study) -> Iterator[Section]:
    """Rank correlations of everything frozen with the primary metric of every fine-tuned suite."""
    rows, marks = [], Table("", [], [])
    probed = {suite: _primary(of_suite) for suite, of_suite in study.groups.items() if of_suite[0].frozen}
    for column, values in {**study.frozen, **probed}.items():
        for suite, of_suite in study.groups.items():
            if suite in probed:
                continue
            metric = of_suite[0].records[0]["primary"]
            both = [(values[init], mean) for init, mean in _primary(of_suite).items() if init in values]
            if len(both) >= LEAST:
                x, y = [a for a, _ in both], [b for _, b in both]
                made = [_shown(correlation(statistic, x, y)) for statistic in (spearman, kendall)]
                rows.append([column, marked(f"{suite} {metric}", of_suite, marks), str(len(both)), *made])
    if rows:
        heads = ["column", "with", "rows", "Spearman", "Kendall"]
        yield Section(
            "Rank correlations", _untitled(heads, rows, [*marks.marked_notes, RANKS.format(exact=EXACT)])
        )


def _primary(rows: Sequence[Trials]) -> dict[str, float]:
    """Init -> mean of the suite's primary metric, of the ranked rows that have one.

    An init of several rows (two recipes, two engines) is left out: a column has one number of it.
    """
    metric = rows[0].records[0]["primary"]
    whole = [row for row in rows if not row.unranked]
    times = Counter(row.init for row in whole)
    ranked = [row for row in whole if times[row.init] == 1]
    return {row.init: found[0] for row in ranked if (found := mean_interval(row, metric)) is not None}


def _shown(found: Correlation | None) -> str:
    if found is None:
        return "-"
    ends = "" if found.interval is None else f" [{found.interval[0]:+.2f}, {found.interval[1]:+.2f}]"
    return f"{found.value:+.2f}{ends}, {p_text(found.p)}"


def classes(study: Study) -> Iterator[Section]:
    """Gains by size and by class of rows on the first reference, at the longest schedule of a suite.

    Of more than MANY rows those are left out of which not even the whole gap is told.
    """
    shorter = {
        point.row.suite
        for curve in schedule_curves(study.groups)
        for points in curve.lines.values()
        for point in points
        if point.x < max(p.x for line in curve.lines.values() for p in line)
    }
    tables = []
    for suite, rows in study.groups.items():
        references = study.references(rows)
        if not references or suite in shorter:
            continue
        against = references[0]
        primary = against.records[0]["primary"]
        gains: dict[str, dict[str, list[Part]]] = {}
        marks = Table("", [], [])
        shown = marked(against.label, [against], marks)
        others = [row for row in rows if row.init != against.init and not row.differs_from(against)]
        told = [row for row in others if len(others) <= MANY or _told(row, against, primary)]
        for row in others:  # of all, since the choice looks at the numbers: the correction is for all
            for words, parts in breakdowns(row, against, primary, study.cells).items():
                gains.setdefault(words, {})[row.label] = parts
        columns = {row.label: marked(row.label, [row], marks) for row in told}
        left_out = FEWER.format(n=len(others), metric=primary, against=against.label, p=TOLD)
        notes = [*marks.marked_notes, *([left_out] if len(told) < len(others) else [])]
        for words, by_row in gains.items():
            if columns and any(len(parts) > 1 for parts in by_row.values()):
                table = gain_matrix(f"{suite}, {words}", shown, by_row, columns, notes)
                tables.append("#" + table)
    if tables:
        yield Section("What improved", "\n".join(tables))


def _told(row: Trials, against: Trials, metric: str) -> bool:
    if not row.values(metric) or not against.values(metric):
        return False
    p = row_difference(row, against, metric).p
    return p is not None and p < TOLD


def _untitled(heads: list[str], rows: list[list[str]], notes: list[str]) -> str:
    return md_block("", heads, rows, notes).split("\n", 2)[2]
