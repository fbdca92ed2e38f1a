"""Builds the report's part on one suite: table, gaps, bars, curves, classes, pictures, differences, costs."""

from __future__ import annotations

from collections.abc import Sequence

from results.report.charts import Bar, Line, bar_chart, line_chart
from results.report.differences import as_written, costs, differing, recipes, weights
from results.report.gaps import gap_chart, gaps
from results.report.html import details, text_table
from results.report.run_section import Cells, curves, per_class, samples
from results.tables.escape import html_text
from results.tables.formats import html_table
from results.tables.grid import Table
from results.tables.lengths import length_curves, mean_interval
from results.tables.published import PublishedRow
from results.tables.suite import PUBLISHED_SUPERVISED, SUPERVISED, build_suite_table
from results.tables.trials import Trials

DATA = ("name", "images", "objects", "sha256")  # of a data set, the entries that are shown


def suite_section(
    suite: str,
    rows: Sequence[Trials],
    cells: Cells,
    papers: Sequence[PublishedRow],
    reference: str | None,
    patient: bool = False,
) -> str:
    """The part as HTML; `reference`: the init that gaps are taken to, if the suite has it."""
    known = reference if any(row.init == reference for row in rows) else None
    table = build_suite_table(rows, suite, reference=known, papers=papers, patient=patient)
    parts = [
        f'<h2 id="{html_text(suite)}">{html_text(suite)}</h2>',
        html_table(table, heading=False),
        _gaps(rows, known, patient),
        _bars(table, rows, known),
        _lengths(suite, rows),
        curves(rows, cells),
        per_class(rows, cells),
        samples(rows, cells),
        _configuration(rows),
        details("Initial weights", text_table(*weights(rows))),
        details("Data", text_table(*_data(rows))),
        details("Time and memory", text_table(*costs(rows), style="numbers")),
    ]
    return "\n".join(part for part in parts if part)


def _gaps(rows: Sequence[Trials], reference: str | None, patient: bool) -> str:
    primary = rows[0].records[0]["primary"]
    chart = gap_chart(gaps(rows, primary, reference, patient))
    return f"<h3>Gaps in {html_text(primary)}</h3>{chart}" if chart else ""


def _lengths(suite: str, rows: Sequence[Trials]) -> str:
    """The primary metric over the length of pre-training, a line per run, where checkpoints are rows."""
    parts = []
    for curve in length_curves({suite: rows}, {}):
        lines, numbers = [], []
        for label, points in curve.lines.items():
            found = [(p, made) for p in points if (made := mean_interval(p.row, curve.metric))]
            lines.append(Line(label, [(point.x, mean) for point, (mean, _, _) in found]))
            for point, (mean, half, trials) in found:
                ends = f"{mean - half:.1f} to {mean + half:.1f}" if half else "-"
                numbers.append([point.row.label, f"{point.x:g}", f"{mean:.1f}", ends, str(trials)])
        heads = ["row", curve.x_name, curve.metric, "95 % interval over trials", "trials"]
        parts.append(line_chart(lines, curve.x_name, curve.metric) + text_table(heads, numbers))
    return "<h3>Over the length of pre-training</h3>" + "".join(parts) if parts else ""


def _bars(table: Table, rows: Sequence[Trials], reference: str | None) -> str:
    """A chart per metric that has a value; the primary one comes first and is open."""
    primary = rows[0].records[0]["primary"]
    charts = []
    for column in sorted(table.columns, key=lambda name: name != primary):
        bars = [
            Bar(row.marked_label, cell.value, cell.std, cell.number, row.origin == "published")
            for row in table.rows
            if (cell := row.cells.get(column)) and cell.value is not None
        ]
        if not bars:
            continue
        ours, paper = _supervised(table, rows, column, reference)
        keys = ["whiskers: ± one standard deviation over trials"]
        if paper is not None:
            keys.insert(0, '<span class="key dashed"></span>published supervised row')
        if ours is not None:
            keys.insert(0, '<span class="key ours"></span>our supervised row')
        legend = "".join(f"<span>{key}</span>" for key in keys)
        chart = bar_chart(bars, ours, paper) + f'<p class="legend">{legend}</p>'
        charts.append(details(column, chart, opened=column == primary))
    return "<h3>Means over trials</h3>" + "".join(charts) if charts else ""


def _supervised(
    table: Table, rows: Sequence[Trials], column: str, reference: str | None
) -> tuple[float | None, float | None]:
    """The value of our supervised row and of the papers' first one in a column of the table."""
    inits = [trials.init for trials in rows]
    names = (reference,) if reference else SUPERVISED
    ours = next((table.rows[inits.index(name)].cells[column].value for name in names if name in inits), None)
    published = (
        row.cells[column].value
        for row in table.rows
        if row.origin == "published" and row.label.startswith(PUBLISHED_SUPERVISED) and column in row.cells
    )
    return ours, next(published, None)


def _configuration(rows: Sequence[Trials]) -> str:
    """The differences between the rows' configurations, and every distinct configuration in full."""
    configurations = recipes(rows)
    lines = differing(configurations)
    if lines:
        body = text_table(["key", *configurations], lines)
    else:
        body = '<p class="soft">All rows have the same configuration.</p>'
    by_recipe: dict[str, list[Trials]] = {}
    for row in rows:
        by_recipe.setdefault(row.identity["recipe_sha256"], []).append(row)
    for sha, same in by_recipe.items():
        recipe = same[0].records[0]["recipe"]
        labels = ", ".join(row.label for row in same)
        full = text_table(["key", "value"], [[key, as_written(value)] for key, value in recipe.items()])
        body += details(f"Full recipe {sha[:8]} ({labels})", full)
    return "<h3>Configuration: differences between rows</h3>" + body


def _data(rows: Sequence[Trials]) -> tuple[list[str], list[list[str]]]:
    """Heads and lines: every data set of any row, each once."""
    lines: dict[tuple[str, ...], None] = {}
    for row in rows:
        for split, sets in (row.records[0].get("data") or {}).items():
            for one in sets if isinstance(sets, list) else [sets]:
                if isinstance(one, dict):
                    line = (split, *(str(one.get(key, "-")) for key in DATA))
                    lines[line] = None
    return ["split", *DATA], [list(line) for line in lines]
