"""Makes the report, one HTML file that shows everything measured: the answer, warnings, suites, all cells.

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
from results.report.front import answer, overview, warnings
from results.report.html import DOUBTED, details, text_table
from results.report.shown import gather
from results.report.suite_section import suite_section
from results.tables.escape import html_text
from results.tables.trials import Trials

CELLS = 2000  # lines in the list of cells


def render_report(
    suites: Mapping[str, Sequence[Trials]],
    root: Path,
    problems: Sequence[str] = (),
    reference: str | None = None,
    patient: bool = False,
) -> str:
    """The page as text.

    `suites`: of `results.tables.trials.group_trials`. `root`: where the cells' files are. `problems`: lines
    about files that could not be read, which open the warnings. `reference`: the init that gaps are taken to.
    `patient`: whether minutes may be spent on resampling test images.
    RecordError: no suite has that init.
    """
    records = [record for rows in suites.values() for row in rows for record in row.records]
    if reference and all(row.init != reference for rows in suites.values() for row in rows):
        known = ", ".join(dict.fromkeys(row.init for rows in suites.values() for row in rows))
        raise RecordError(f"no init {reference!r} to take gaps to; there are {known}")
    shown = gather(suites, root, reference, patient)
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
            "<header><h1>Transfer results</h1>",
            answer(shown),
            f'<p class="soft">{len(records)} cells: {states} · made {made}</p></header>',
            warnings(cautions(suites, problems)),
            overview(shown),
            f'<nav>{links}<a href="#environment">environment</a><a href="#cells">all cells</a></nav>',
            *(suite_section(suite, shown) for suite in suites),
            '<h2 id="environment">Environment</h2>',
            text_table(["what", "value"], environments(records)),
            '<h2 id="cells">All cells</h2>',
            _cell_list(records),
            "</body></html>\n",
        ]
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
