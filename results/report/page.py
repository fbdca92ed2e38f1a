"""One HTML file that shows everything measured: tables, charts, curves, classes, samples, differences.

Self-contained: styles, charts and pictures are inside, nothing is fetched, no script runs. Every text that
came from a record is escaped.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from results.record import RecordError, flat_metrics
from results.report.cautions import cautions, last_line
from results.report.charts import Bar, bar_chart
from results.report.differences import costs, differing, environments, recipes, show, weights
from results.report.gaps import gap_chart, gaps, verdict
from results.report.html import details, text_table
from results.report.run_section import Cells, curves, per_class, samples
from results.run_files import cell_directories
from results.tables.escape import html_text
from results.tables.formats import html_table
from results.tables.grid import Table
from results.tables.published import PublishedRow, load_published
from results.tables.suite import PUBLISHED_SUPERVISED, SUPERVISED, build_suite_table, our_cell
from results.tables.trials import Trials

CELLS = 2000  # lines in the list of cells
DOUBTED = " (!)"  # beside a number where no footnote can be
NOT_SURE = "a record may not be what was written; the warnings and the footnotes of its suite say which"


def render_report(
    suites: Mapping[str, Sequence[Trials]],
    root: Path,
    problems: Sequence[str] = (),
    reference: str | None = None,
) -> str:
    """The page as text.

    `suites`: of `results.tables.trials.group_trials`; `root`: where the cells' files are; `problems`: lines
    on what could not be read; they open the page; `reference`: the init that gaps are taken to.
    """
    records = [record for rows in suites.values() for row in rows for record in row.records]
    cells, papers = cell_directories(root), load_published()
    if reference and all(row.init != reference for rows in suites.values() for row in rows):
        known = ", ".join(dict.fromkeys(row.init for rows in suites.values() for row in rows))
        raise RecordError(f"no init {reference!r} to take gaps to; there are {known}")
    sections = [_suite(suite, rows, cells, papers, reference) for suite, rows in suites.items()]
    counted = sum((row.states for rows in suites.values() for row in rows), Counter())
    states = " · ".join(f"{n} {state}" for state, n in counted.items() if state != "missing")
    made = datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC")
    links = "".join(f'<a href="#{html_text(suite)}">{html_text(suite)}</a>' for suite in suites)
    style = (Path(__file__).parent / "report.css").read_text(encoding="utf-8")
    return "\n".join(
        [
            '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>Transfer results</title>\n<style>\n{style}</style></head>\n<body>",
            f'<h1>Transfer results</h1><p class="soft">{len(records)} cells: {states} · made {made}</p>',
            f'<nav>{links}<a href="#environment">environment</a><a href="#cells">all cells</a></nav>',
            _warnings(cautions(suites, problems)),
            verdict(suites, reference),
            _overview(suites),
            *sections,
            '<h2 id="environment">Environment</h2>',
            text_table(["what", "value"], environments(records)),
            '<h2 id="cells">All cells</h2>',
            _cell_list(records),
            "</body></html>\n",
        ]
    )


def _warnings(lines: Sequence[str]) -> str:
    if not lines:
        return ""
    items = "".join(f"<li>{html_text(line)}</li>" for line in lines)
    return f'<section class="warnings"><strong>Read this first</strong><ul>{items}</ul></section>'


def _overview(suites: Mapping[str, Sequence[Trials]]) -> str:
    """The primary metric of every suite and row at a glance; inits are rows, a phone is higher than wide."""
    if len(suites) < 2:
        return ""
    labels = dict.fromkeys(row.label for rows in suites.values() for row in rows)
    lines = {label: ["-"] * len(suites) for label in labels}
    heads = []
    for i, (suite, rows) in enumerate(suites.items()):
        primary = rows[0].records[0]["primary"]
        heads.append(f"{suite} {primary}")
        for row in rows:
            lines[row.label][i] = our_cell(row, primary).text + (DOUBTED if row.doubted else "")
    body = text_table(["init", *heads], [[label, *texts] for label, texts in lines.items()], style="numbers")
    doubted = any(row.doubted for rows in suites.values() for row in rows)
    note = f'<p class="notes">{DOUBTED.strip()} {NOT_SURE}</p>' if doubted else ""
    return f"<h3>Overview: the primary metric</h3>{body}{note}"


def _suite(
    suite: str,
    rows: Sequence[Trials],
    cells: Cells,
    papers: Sequence[PublishedRow],
    reference: str | None,
) -> str:
    known = reference if any(row.init == reference for row in rows) else None
    table = build_suite_table(rows, suite, reference=known, papers=papers)
    parts = [
        f'<h2 id="{html_text(suite)}">{html_text(suite)}</h2>',
        html_table(table, heading=False),
        _gaps(rows, known),
        _bars(table, rows, known),
        curves(rows, cells),
        per_class(rows, cells),
        samples(rows, cells),
        _configuration(rows),
        details("Initial weights", text_table(*weights(rows))),
        details("Data", text_table(*_data(rows))),
        details("Time and memory", text_table(*costs(rows), style="numbers")),
    ]
    return "\n".join(part for part in parts if part)


def _gaps(rows: Sequence[Trials], reference: str | None) -> str:
    primary = rows[0].records[0]["primary"]
    chart = gap_chart(gaps(rows, primary, reference))
    return f"<h3>Gaps in {html_text(primary)}</h3>{chart}" if chart else ""


def _bars(table: Table, rows: Sequence[Trials], reference: str | None) -> str:
    """A chart per metric; the primary one is open."""
    primary = rows[0].records[0]["primary"]
    names = (reference,) if reference else SUPERVISED
    charts = []
    for column in sorted(table.columns, key=lambda name: name != primary):
        bars = [
            Bar(
                row.marked_label,
                cell.value,
                cell.std,
                cell.text.partition(" [")[0],
                row.origin == "published",
            )
            for row in table.rows
            if (cell := row.cells.get(column)) and cell.value is not None
        ]
        if not bars:
            continue
        inits = [trials.init for trials in rows]
        ours = next((table.rows[inits.index(n)].cells[column].value for n in names if n in inits), None)
        published = (
            row.cells[column].value
            for row in table.rows
            if row.origin == "published"
            and row.label.startswith(PUBLISHED_SUPERVISED)
            and column in row.cells
        )
        paper = next(published, None)
        keys = ["whiskers: ± one standard deviation over trials"]
        if paper is not None:
            keys.insert(0, '<span class="key dashed"></span>published supervised row')
        if ours is not None:
            keys.insert(0, '<span class="key ours"></span>our supervised row')
        legend = "".join(f"<span>{key}</span>" for key in keys)
        charts.append(
            details(
                column,
                bar_chart(bars, ours, paper) + f'<p class="legend">{legend}</p>',
                opened=column == primary,
            )
        )
    return "<h3>Means over trials</h3>" + "".join(charts) if charts else ""


def _configuration(rows: Sequence[Trials]) -> str:
    """What differs between the rows' configurations, and every distinct configuration in full."""
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
        full = text_table(["key", "value"], [[key, show(value)] for key, value in recipe.items()])
        body += details(f"Full recipe {sha[:8]} ({labels})", full)
    return "<h3>Configuration: differences between rows</h3>" + body


def _data(rows: Sequence[Trials]) -> tuple[list[str], list[list[str]]]:
    lines: dict[tuple[str, ...], None] = {}
    for row in rows:
        for split, sets in (row.records[0].get("data") or {}).items():
            for one in sets if isinstance(sets, list) else [sets]:
                if isinstance(one, dict):
                    shown = [str(one.get(key, "-")) for key in ("name", "images", "objects", "sha256")]
                    key = (split, *shown)
                    lines[key] = None
    return ["split", "name", "images", "objects", "sha256"], [list(line) for line in lines]


def _cell_list(records: Sequence[dict[str, Any]]) -> str:
    lines = []
    for record in records[:CELLS]:
        value = flat_metrics(record).get(record["primary"])
        number = f"{record['primary']} {value:.2f}" if value is not None else "-"
        doubt = record.get("doubt", "")
        error = last_line(record.get("error") or "")
        place = [f"{record['suite']} {record['init']}", str(record["trial"]), str(record["seed"])]
        number += DOUBTED if doubt else ""
        outcome = [
            f"{record['status']}, {doubt}" if doubt else record["status"],
            number,
            record.get("finished_at") or "-",
            record["id"],
            error,
        ]
        lines.append(place + outcome)
    heads = ["cell", "trial", "seed", "status", "primary metric", "finished at", "record", "error"]
    cut = f'<p class="soft">the first {CELLS} of {len(records)}</p>' if len(records) > CELLS else ""
    return details(f"{len(records)} cells", text_table(heads, lines) + cut)
