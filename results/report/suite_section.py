"""Builds the report's part on one suite: table, gaps, changes, errors, curves, pictures, configuration."""

from __future__ import annotations

from collections.abc import Sequence

from results.report.changed import what_changed
from results.report.curves import losses, over_pretraining
from results.report.differences import as_written, costs, differing, recipes, weights
from results.report.dots import Dot, dot_chart
from results.report.errors import errors
from results.report.gaps import gap_dots, gaps
from results.report.html import details, text_table
from results.report.multiples import scores
from results.report.samples import samples
from results.report.shown import Shown
from results.tables.cell import less_is_better, signed
from results.tables.columns import DRAWS, SPREAD
from results.tables.escape import html_text
from results.tables.formats import html_table
from results.tables.grid import Table
from results.tables.suite import build_suite_table
from results.tables.trials import Trials

DATA = ("name", "images", "objects", "sha256")  # of a data set, the entries that are shown
NOTE = (
    "gap to {against} with its 95 % interval{by}; coloured: p < 0.05, corrected for the number of rows "
    "(Holm); intervals are not corrected; hollow: as published, to the paper's own supervised row; an arrow: "
    "beyond the axis"
)


def suite_section(suite: str, shown: Shown) -> str:
    """The part as HTML."""
    rows = shown.suites[suite]
    table = build_suite_table(
        rows, suite, reference=shown.references_in(suite), papers=shown.papers, patient=shown.patient
    )
    parts = [
        f'<h2 id="{html_text(suite)}">{html_text(suite)}</h2>',
        html_table(table, heading=False),
        _pictures(suite, table, shown),
        over_pretraining(suite, shown),
        what_changed(suite, shown),
        errors(suite, shown),
        losses(suite, shown),
        samples(suite, shown),
        _configuration(rows),
        details("Initial weights", text_table(*weights(rows))),
        details("Data", text_table(*_data(rows))),
        details("Time and memory", text_table(*costs(rows), style="numbers")),
    ]
    return "\n".join(part for part in parts if part)


def _pictures(suite: str, table: Table, shown: Shown) -> str:
    """A chart of gaps for each metric, or of scores where there are none; the primary one comes first."""
    first, *rest = sorted(table.columns, key=lambda name: name != shown.primary[suite])
    folded = "".join(details(name, chart) for name in rest if (chart := _picture(suite, name, table, shown)))
    chart = _picture(suite, first, table, shown)
    return f"<h3>{html_text(first)}</h3>{chart}{folded}" if chart else folded


def _picture(suite: str, metric: str, table: Table, shown: Shown) -> str:
    rows = shown.suites[suite]
    known = shown.references_in(suite)
    aside = metric.startswith((SPREAD, DRAWS))  # of which no side is better
    found = [] if aside else gaps(rows, metric, known, shown.patient)
    if not found:
        chart = dot_chart(scores(rows, metric, shown.patient), around_zero=False)
        note = "mean with its 95 % interval, over test images or over trials" if chart else ""
    else:
        dots = gap_dots(found) + _published(table, metric)
        dots.sort(key=lambda dot: dot.value if less_is_better(metric) else -dot.value)
        chart = dot_chart(dots, around_zero=True)
        tests = " or ".join(dict.fromkeys(gap.test for gap in found if gap.test))
        against = " or ".join(dict.fromkeys(gap.against for gap in found))
        note = NOTE.format(against=against, by=f", by {tests}" if tests else "")
        note += "; less is better" if less_is_better(metric) else ""
    return f'{chart}<p class="soft">{html_text(note)}</p>' if chart else ""


def _published(table: Table, metric: str) -> list[Dot]:
    """The gaps of the papers' rows to their own supervised row."""
    found = [
        (row, row.cells[metric]) for row in table.rows if row.origin == "published" and metric in row.cells
    ]
    return [
        Dot(row.label, cell.gap, None, signed(cell.gap), published=True)
        for row, cell in found
        if cell.gap is not None
    ]


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
