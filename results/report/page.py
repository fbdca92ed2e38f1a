"""Makes the report, one HTML file that shows everything measured: warnings, answers, suites, all cells.

It is self-contained: styles, charts and pictures are inside, nothing is fetched, no script runs. Every text
that came from a record is escaped.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path

from results.errors import RecordError
from results.record import Record, flat_metrics
from results.report.cautions import cautions, last_line
from results.report.differences import environments
from results.report.gaps import answers
from results.report.html import DOUBTED, details, text_table
from results.report.multiples import multiples
from results.report.suite_section import suite_section
from results.run_files import cell_directories
from results.tables.escape import html_text
from results.tables.formats import html_table
from results.tables.published import load_published
from results.tables.suite import our_cell
from results.tables.trials import Trials

CELLS = 2000  # lines in the list of cells
LEAST_RANKED = 3  # rows, and suites that all of them have
NOT_SURE = "a record may not be what was written; the warnings and the footnotes of its suite say which"


def render_report(
    suites: Mapping[str, Sequence[Trials]],
    root: Path,
    problems: Sequence[str] = (),
    reference: str | None = None,
    patient: bool = False,
) -> str:
    """The page as text.

    `suites`: of `results.tables.trials.group_trials`. `root`: where the cells' files are. `problems`: lines
    about files that could not be read, which open the page. `reference`: the init that gaps are taken to.
    `patient`: whether minutes may be spent on resampling test images.
    RecordError: no suite has that init.
    """
    records = [record for rows in suites.values() for row in rows for record in row.records]
    cells, papers = cell_directories(root), load_published()
    if reference and all(row.init != reference for rows in suites.values() for row in rows):
        known = ", ".join(dict.fromkeys(row.init for rows in suites.values() for row in rows))
        raise RecordError(f"no init {reference!r} to take gaps to; there are {known}")
    sections = [
        suite_section(suite, rows, cells, papers, reference, patient) for suite, rows in suites.items()
    ]
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
            answers(suites, reference, patient),
            _overview(suites),
            _ranking(suites),
            multiples(suites, reference, patient),
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


def _ranking(suites: Mapping[str, Sequence[Trials]]) -> str:
    """All rows over all suites that they share, with the critical-difference picture; empty below three."""
    if len(suites) < LEAST_RANKED:
        return ""
    # numpy and scipy, which no other part of the page needs
    from results.ranking.picture import critical_svg
    from results.ranking.printed import ranking_table
    from results.ranking.ranking import rank
    from results.ranking.scores import our_scores
    from results.ranking.short import short_lines

    try:
        scores = our_scores(suites)
    except RecordError:
        return ""  # too few rows or suites in common
    if len(scores.rows) < LEAST_RANKED or len(scores.sets) < LEAST_RANKED:
        return ""
    ranking = rank(scores)
    made = ranking_table(ranking, "")
    made.legend += short_lines(suites)
    table = html_table(made, heading=False)
    return (
        f"<h3>Over all data sets</h3>{critical_svg(ranking)}{details('Means, ranks and their tests', table)}"
    )


def _cell_list(records: Sequence[Record]) -> str:
    """One line per record, folded away."""
    lines = []
    for record in records[:CELLS]:
        value = flat_metrics(record).get(record["primary"])
        number = f"{record['primary']} {value:.2f}" if value is not None else "-"
        status, doubt = record["status"], record.get("doubt")
        if doubt:
            status, number = f"{status}, {doubt}", number + DOUBTED
        place = [f"{record['suite']} {record['init']}", str(record["trial"]), str(record["seed"])]
        error = last_line(record.get("error") or "")
        lines.append([*place, status, number, record.get("finished_at") or "-", record["id"], error])
    heads = ["cell", "trial", "seed", "status", "primary metric", "finished at", "record", "error"]
    cut = f'<p class="soft">the first {CELLS} of {len(records)}</p>' if len(records) > CELLS else ""
    return details(f"{len(records)} cells", text_table(heads, lines) + cut)
