"""Builds the table of a suite: our rows first, then the published ones.

A cell is mean ± sample standard deviation (n). Where trials failed, run or are missing, n becomes "2/3" and
the status column says why: nothing is averaged over in silence. The gap to the supervised row, with the test
of `results.tables.compared`, is given only between rows of equal recipe, data and engine. Its stars are
corrected for the number of rows (Holm): a reader looks down a column for them, and of twenty one would be
there by accident. Rows that must not be compared with published numbers carry a mark and a footnote.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal

from results.errors import RecordError
from results.record import flat_metrics
from results.tables.cell import TableCell, less_is_better
from results.tables.columns import DRAWS, SPREAD, default_metrics, ride_along
from results.tables.compared import image_notes, row_difference, row_interval, test_notes
from results.tables.grid import Row, Table
from results.tables.paired import holm
from results.tables.published import WORDS, PublishedRow, load_published, published_for_suite
from results.tables.trials import Trials
from results.tables.tuned import budget_note, tuned_note

Reference = str | Sequence[str] | None  # what gaps are taken to: an init, several; by default the supervised
# The inits that are the supervised baseline, in order of preference, and the papers' name of it.
SUPERVISED = ("supervised", "msra")
PUBLISHED_SUPERVISED = "super_IN1M"
# Our labels -> the published row to hold them against. A label that is a published init needs no entry.
PUBLISHED_AS = {
    "random": "random",
    "supervised": PUBLISHED_SUPERVISED,
    "msra": PUBLISHED_SUPERVISED,
    "moco_v1": "moco_IN1M",
    "moco_v2": "moco_v2_IN1M_200ep",
    "moco_v2_800ep": "moco_v2_IN1M_800ep",
}
LEGEND_COUNT = "mean ± standard deviation (finished trials, or finished/all)"
LEGEND_GAP = (
    "[gap to the row {reference}] green from +0.5, red from -0.5; ** p < 0.01, * p < 0.05, ns not "
    "significant, corrected for the number of rows (Holm); nothing: fewer than 2 trials or no spread"
)
NETWORK = "another network than that of {reference}: {shape}"
CERTIFIED = "backbone certified: it computes what {against} does"
EMULATED = "trained in {formats}, not in the recipe's bfloat16, which the processor is not known to have"
UNPROVEN = "backbone unproven: own code ({code}), held against nobody's"
VARIANT = "recipe {recipe} instead of {instead_of}, as the suite says; gaps are taken all the same"
LEGEND_PUBLISHED = "[gap] of published rows: to the paper's own supervised row"


def build_suite_table(
    ours: Sequence[Trials],
    suite: str,
    metrics: Sequence[str] | None = None,
    published: bool = True,
    reference: Reference = None,
    papers: Sequence[PublishedRow] | None = None,
    patient: bool = False,
) -> Table:
    """The table of one suite from its rows.

    `metrics`: flat names ("bbox/AP"), by default those that the papers print. `reference`: the init that gaps
    are taken to, or several, by default the supervised one. `papers`: all published rows, if already loaded.
    `patient`: whether minutes may be spent on resampling test images.
    RecordError: the suite has no such reference.
    """
    if reference and ours and not find_baselines(ours, reference):
        known = ", ".join(dict.fromkeys(trials.init for trials in ours))
        raise RecordError(f"no init {reference!r} in {suite} to take gaps to; there are {known}")
    papers = load_published() if papers is None else papers
    rows = published_for_suite(papers, suite)
    columns = list(metrics or default_metrics(ours, [name for row in rows for name in row.values]))
    columns += [] if metrics else ride_along(ours, columns)
    table = Table(suite, columns, our_rows(ours, columns, rows if published else [], reference, patient))
    add_notes(table, ours, reference, patient)
    if published:
        schedules = {row.schedule for row in rows}
        for row in rows:
            parts = [row.init]
            parts += [row.arch] if row.init in of_several_networks(rows) else []
            parts += [row.schedule] if len(schedules) > 1 else []
            label = ", ".join(parts)
            cells = {name: cell for name, cell in published_cells(row, papers).items() if name in columns}
            table.rows.append(Row(label, "published", cells, source=row.source))
        if any(cell.gap is not None for row in table.rows for cell in row.cells.values() if cell.printed):
            table.legend.append(LEGEND_PUBLISHED)
    return table


def of_several_networks(rows: Sequence[PublishedRow]) -> set[str]:
    """The inits that are published with more than one network: their label says too little."""
    networks = {(row.init, row.arch) for row in rows}
    return {init for init, count in Counter(init for init, _ in networks).items() if count > 1}


def our_rows(
    ours: Sequence[Trials],
    columns: Sequence[str],
    papers: Sequence[PublishedRow],
    reference: Reference = None,
    patient: bool = False,
) -> list[Row]:
    """Our trials as rows, with their gaps to our supervised row and to their published counterparts."""
    several = of_several_networks(papers)  # which of them ours stands beside, a label does not tell
    published = {row.init: row for row in reversed(papers) if row.init not in several}
    baselines = find_baselines(ours, reference)
    rows = []
    for trials in ours:
        against = find_reference(trials, baselines)
        cells = {column: our_cell(trials, column, against, patient) for column in columns}
        states = trials.states
        unfinished = set(states) - {"finished"}
        status = ", ".join(f"{n} {state}" for state, n in states.items()) if unfinished else ""
        row = Row(trials.label, "ours", cells, status)
        counterpart = published.get(PUBLISHED_AS.get(trials.init, trials.init))
        if counterpart and not trials.reasons:
            row.published_as = counterpart.init
            if sum(paper.init == counterpart.init for paper in papers) > 1:  # two papers have two numbers
                row.published_as += f", {counterpart.source}"
            theirs = {name: published_cell(text, None).value for name, text in counterpart.values.items()}
            row.to_published = {
                name: cell.value - value
                for name, cell in cells.items()
                if cell.value is not None and (value := theirs.get(name)) is not None
            }
        rows.append(row)
    for column in columns:
        for row, p_holm in zip(rows, holm([row.cells[column].p for row in rows]), strict=True):
            if p_holm is not None:
                row.cells[column] = replace(row.cells[column], p_holm=p_holm)
    return rows


def add_notes(
    table: Table, ours: Sequence[Trials], reference: Reference = None, patient: bool = False
) -> None:
    """Adds the legend, and footnotes to our rows (they come first) that are doubted or not compared."""
    baselines = find_baselines(ours, reference)
    gaps_to: dict[str, None] = {}
    for row, trials in zip(table.rows, ours, strict=False):
        row.marks += [table.note(doubt) for doubt in trials.doubts]
        row.marks += [table.note(f"not comparable with published numbers: {why}") for why in trials.reasons]
        if trials.pretrainings:
            row.marks.append(table.note(trials.pretrainings))
        if trials.certificate:
            row.marks.append(table.note(CERTIFIED.format(against=trials.certificate)))
        if trials.own_code:
            row.marks.append(table.note(UNPROVEN.format(code=trials.own_code)))
        if trials.emulated:
            row.marks.append(table.note(EMULATED.format(formats=trials.emulated)))
        if trials.tuned:
            row.marks.append(table.note(tuned_note(trials.tuned)))
        if budgets := budget_note(trials, ours):
            row.marks.append(table.note(budgets))
        if trials.variant:
            row.marks.append(table.note(VARIANT.format(**trials.variant)))
        against = find_reference(trials, baselines)
        if against is not None:
            gaps_to[against.label] = None
            if shape := trials.other_network(against):
                row.marks.append(table.note(NETWORK.format(reference=against.label, shape=shape)))
        elif baselines and all(trials.init != baseline.init for baseline in baselines):
            words = ", ".join(trials.differs_from(baselines[0]))
            row.marks.append(table.note(f"not compared with {baselines[0].label}: different {words}"))
    if ours:
        table.legend.append(LEGEND_COUNT)
    if gaps_to:
        table.legend.append(LEGEND_GAP.format(reference=" or ".join(gaps_to)))
    table.legend += [*test_notes(table), *image_notes(ours, table.columns, patient)]


def find_baselines(ours: Sequence[Trials], reference: Reference = None) -> list[Trials]:
    """The supervised rows, in order of preference; or those of the inits that were named instead."""
    names = (reference,) if isinstance(reference, str) else reference or SUPERVISED
    return [trials for name in names for trials in ours if trials.init == name]


def find_reference(trials: Trials, baselines: Sequence[Trials]) -> Trials | None:
    """The first baseline with the same recipe, data and engine, or None.

    No row is held against one of its own init. Of several that were named, such as random weights of two
    networks, it is the first of the row's own network, where there is one, and none is held against another.
    """
    named = all(other.init not in SUPERVISED for other in baselines)
    fitting = []
    for other in baselines:
        if trials.init == other.init:
            break
        if not trials.differs_from(other):
            fitting.append(other)
    if named and any(trials.init == other.init for other in baselines):
        return None
    own = [other for other in fitting if named and not trials.other_network(other)]
    return next(iter(own or fitting), None)


def our_cell(trials: Trials, metric: str, against: Trials | None = None, patient: bool = False) -> TableCell:
    """Mean, deviation and count over the finished trials, or the reason why there is no number."""
    ours = trials.summary(metric)
    total = sum(trials.states.values())
    if ours is None:
        return TableCell(total=total, state=why_no_value(trials, metric))
    ends = row_interval(trials, metric, patient)
    made = TableCell(*ours, total, ends=ends, lower=less_is_better(metric))
    if against is None or not against.values(metric) or metric.startswith((SPREAD, DRAWS)):
        return made
    found = row_difference(trials, against, metric, patient)
    return replace(made, gap=found.gap, p=found.p, test=found.test, seen=found.seen)


def why_no_value(trials: Trials, metric: str) -> str:
    """The word in place of a number: the trials' state, "undefined", or "not measured" (no such metric)."""
    if not trials.finished:
        return next(iter(trials.states))
    measured = any(metric in flat_metrics(record) for record in trials.finished)
    return "undefined" if measured else "not measured"


def published_cells(row: PublishedRow, papers: Sequence[PublishedRow]) -> Mapping[str, TableCell]:
    """A published row's numbers as printed, with the gaps to its table's supervised row, if it has one."""
    baseline: dict[str, str] = {}
    if row.init != PUBLISHED_SUPERVISED:
        wanted = (row.table, row.suite, PUBLISHED_SUPERVISED)
        baseline = next((r.values for r in papers if (r.table, r.suite, r.init) == wanted), {})
    return {name: published_cell(text, baseline.get(name)) for name, text in row.values.items()}


def published_cell(text: str, baseline: str | None) -> TableCell:
    """A printed number; a printed word ("fail") is kept as it is."""
    try:
        value = Decimal(text)
    except ArithmeticError:
        return TableCell(printed=text)
    # decimals, because 55.9 - 53.5 must be 2.4; a printed word is no baseline
    gap = None if baseline is None or baseline in WORDS else float(value - Decimal(baseline))
    return TableCell(float(value), printed=text, gap=gap)
