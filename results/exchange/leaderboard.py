"""Makes a leaderboard that any server of files can show: one page, and the same numbers as JSON.

Nothing is fetched by the page and no script runs. Every row names its records, so a reader can ask for the
bundle and compute its numbers again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import results.report
from results.record import Record
from results.report.html import details, text_table
from results.tables.cell import less_is_better
from results.tables.escape import html_text
from results.tables.suite import our_cell
from results.tables.trials import Trials

PAGE, DATA = "index.html", "leaderboard.json"
HEADS = ("rank", "init", "trials", "engine", "comparable with published")


def leaderboard(suites: Mapping[str, Sequence[Trials]], sha256: str) -> dict[str, bytes]:
    """{file name: content}; `sha256`: the hash over all of the bundle with the records."""
    boards = {suite: _board(rows) for suite, rows in suites.items()}
    content = {"form": 1, "bundle_sha256": sha256, "suites": boards}
    return {
        PAGE: _page(suites, boards, sha256).encode(),
        DATA: (json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode(),
    }


def _board(rows: Sequence[Trials]) -> dict[str, Any]:
    """The rows of a suite, the best mean of its primary metric first; those that have no rank last."""
    primary = rows[0].records[0]["primary"]
    ranked = [row for row in rows if not row.unranked]
    means = {id(row): found.mean for row in ranked if (found := row.summary(primary)) is not None}
    sign = 1 if less_is_better(primary) else -1
    ordered = sorted(rows, key=lambda row: (id(row) not in means, sign * means.get(id(row), 0.0), row.label))
    values = sorted(means.values(), reverse=sign < 0)
    return {"primary": primary, "rows": [_row(row, primary, values) for row in ordered]}


def _row(row: Trials, primary: str, values: Sequence[float]) -> dict[str, Any]:
    found = row.summary(primary)
    mean = found.mean if found else None
    return {
        "rank": None if mean is None or row.unranked else 1 + values.index(mean),  # equal means share a rank
        "label": row.label,
        "init": row.init,
        "mean": mean,
        "standard_deviation": found.std if found and found.n > 1 else None,
        "finished": len(row.finished),
        "trials": len(row.records),
        **({"pretrainings": row.pretrainings} if row.pretrainings else {}),
        "engine": f"{row.identity['engine']} {row.identity['engine_version']}",
        "precision": row.emulated or None,
        "not_comparable_because": row.reasons,
        "records": [record["id"] for record in row.records],
    }


def _page(suites: Mapping[str, Sequence[Trials]], boards: Mapping[str, Any], sha256: str) -> str:
    style = (Path(results.report.__file__).parent / "report.css").read_text(encoding="utf-8")
    records = [record for rows in suites.values() for row in rows for record in row.records]
    parts = [_section(suite, suites[suite], boards[suite]) for suite in suites]
    return "\n".join(
        [
            '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>Transfer leaderboard</title>\n<style>\n{style}</style></head>\n<body>",
            "<h1>Transfer leaderboard</h1>",
            f'<p class="soft">{len(records)} cells, the last of {_last(records)} · '
            f'<a href="{DATA}">the numbers</a> · bundle SHA-256 <code>{sha256}</code></p>',
            *parts,
            "</body></html>\n",
        ]
    )


def _section(suite: str, rows: Sequence[Trials], board: Mapping[str, Any]) -> str:
    primary, texts = board["primary"], {row.label: our_cell(row, board["primary"]).text for row in rows}
    lines, ids = [], []
    for row in board["rows"]:
        why = "; ".join(row["not_comparable_because"])
        rank = "-" if row["rank"] is None else str(row["rank"])
        engine = f"{row['engine']}, {row['precision']}" if row["precision"] else row["engine"]
        trials = "; ".join(filter(None, (f"{row['finished']}/{row['trials']}", row.get("pretrainings"))))
        told = [trials, engine, f"no: {why}" if why else "yes"]
        lines.append([rank, row["label"], texts[row["label"]], *told])
        ids.append([row["label"], ", ".join(row["records"])])
    table = text_table([*HEADS[:2], primary, *HEADS[2:]], lines)
    folded = details("Records", text_table(["init", "records"], ids))
    return f'<h2 id="{html_text(suite)}">{html_text(suite)}</h2>{table}{folded}'


def _last(records: Sequence[Record]) -> str:
    return html_text(
        max((str(record.get("finished_at") or "") for record in records), default="")[:10] or "-"
    )
