"""Builds the tables of papers from the published numbers, and lays our rows in where they exist.

First come MoCo v1 and v2 (`layouts`), then the comparisons of joint-embedding methods (`joint_layouts`). A
table of a paper is printed as one table per suite, in the paper's order.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from results.errors import RecordError
from results.tables.grid import Row, Table
from results.tables.joint_layouts import JOINT
from results.tables.layouts import MOCO, PaperLayout
from results.tables.published import PublishedRow
from results.tables.suite import LEGEND_PUBLISHED, add_notes, our_rows, published_cell, published_cells
from results.tables.trials import Trials

# the suite's own schedule, where papers' tables give several for it
SCHEDULES = {"lvis": "2x", "coco_fpn_1x": "1x"}


LAYOUTS: dict[str, PaperLayout] = {**MOCO, **JOINT}


def paper_tables(
    papers: Sequence[PublishedRow],
    ours: Mapping[str, Sequence[Trials]] | None = None,
    names: Sequence[str] | None = None,
) -> list[Table]:
    """The papers' tables in their order, or the named ones; `ours`: suite -> our rows."""
    chosen = names or [name for name, layout in LAYOUTS.items() if not layout.on_request]
    unknown = [name for name in chosen if name not in LAYOUTS]
    if unknown:
        raise RecordError(f"no table {', '.join(unknown)} in the papers; there are {', '.join(LAYOUTS)}")
    return [table for name in chosen for table in _panels(LAYOUTS[name], papers, ours or {})]


def _panels(
    layout: PaperLayout, papers: Sequence[PublishedRow], ours: Mapping[str, Sequence[Trials]]
) -> list[Table]:
    panels: dict[tuple[str, ...], list[PublishedRow]] = {}
    for name in layout.tables:
        for row in papers:
            if row.table == name:
                panels.setdefault(tuple(getattr(row, field) for field in layout.by), []).append(row)
    tables = []
    for rows in panels.values():
        # superseded schedules are not ours, nor is another schedule than the suite's own
        fits = rows[0].current and rows[0].schedule == SCHEDULES.get(rows[0].suite, rows[0].schedule)
        trials = ours.get(rows[0].suite, []) if fits else []
        title = ", ".join([layout.title, *(getattr(rows[0], field) for field in layout.by)])
        if layout.split:
            tables.append(_split_panel(title, layout, rows, trials))
        else:
            tables.append(_panel(title, layout, rows, trials))
    return tables


def _panel(title: str, layout: PaperLayout, rows: Sequence[PublishedRow], ours: Sequence[Trials]) -> Table:
    """One line per published row, its metrics as columns."""
    columns = list(dict.fromkeys(name for row in rows for name in row.values))
    table = Table(title, columns, our_rows(ours, columns, rows))
    add_notes(table, ours)
    for row in rows:
        label = ", ".join(getattr(row, field) for field in layout.label)
        cells = dict(published_cells(row, rows if layout.gaps else []))
        table.rows.append(Row(label, "published", cells, source=row.source))
    if layout.gaps:
        table.legend.append(LEGEND_PUBLISHED)
    return table


def _split_panel(
    title: str, layout: PaperLayout, rows: Sequence[PublishedRow], ours: Sequence[Trials]
) -> Table:
    """One column per method (or K, or temperature) and metric; gaps are taken within a column."""
    printed: dict[str, dict[str, str]] = {}
    sources: dict[str, str] = {}
    groups: dict[str, list[str]] = {}
    for row in rows:
        named = ", ".join(getattr(row, field) for field in layout.split_of)
        match = re.fullmatch(layout.split, named)
        if match is None:
            raise RecordError(f"{row.table}: {named!r} does not fit {layout.split}")
        column, line = match["column"] or layout.ours, match["row"]
        sources[line] = row.source
        for metric, text in row.values.items():
            name = f"{column} {metric}"
            printed.setdefault(line, {})[name] = text
            groups.setdefault(metric, [])
            if name not in groups[metric]:
                groups[metric].append(name)
    columns = [name for names in groups.values() for name in names]
    metrics = {name: name.removeprefix(f"{layout.ours} ") for name in columns if name.startswith(layout.ours)}
    table = Table(title, columns, our_rows(ours, list(metrics.values()), rows) if layout.ours else [])
    for our_row in table.rows:
        our_row.cells = {name: our_row.cells[metric] for name, metric in metrics.items()}
        gaps = our_row.to_published
        our_row.to_published = {name: gaps[metric] for name, metric in metrics.items() if metric in gaps}
    add_notes(table, ours if layout.ours else [])
    baseline = printed.get("super_IN1M", {}) if layout.gaps else {}
    for line, texts in printed.items():
        gap_to = {} if line == "super_IN1M" else baseline
        cells = {name: published_cell(text, gap_to.get(name)) for name, text in texts.items()}
        table.rows.append(Row(line, "published", cells, source=sources[line]))
    if layout.gaps:
        table.legend.append(LEGEND_PUBLISHED)
    return table
