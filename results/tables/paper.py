"""Builds the tables of MoCo v1 and v2 from the published numbers, and lays our rows in where they exist.

He et al., "Momentum Contrast for Unsupervised Visual Representation Learning", arXiv:1911.05722v3;
Chen et al., "Improved Baselines with Momentum Contrastive Learning", arXiv:2003.04297.
A table of the papers is printed as one table per suite, in the papers' order.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from results.errors import RecordError
from results.tables.grid import Row, Table
from results.tables.published import PublishedRow
from results.tables.suite import LEGEND_PUBLISHED, add_notes, our_rows, published_cell, published_cells
from results.tables.trials import Trials

# the suite's own schedule, where a paper's table gives several for it
SCHEDULES = {"lvis": "2x"}


@dataclass(frozen=True)
class PaperLayout:
    """One table of a paper, and which rows of results/published make it."""

    title: str
    tables: tuple[str, ...]  # names in the CSV's first column
    gaps: bool = False  # the paper prints gaps to the supervised row
    by: tuple[str, ...] = ("suite",)  # a table of its own for every value of these
    label: tuple[str, ...] = ("init",)  # what names a row
    # A row of the CSV may be one cell of the paper's grid: the pattern splits its init into `row` and
    # `column`, and `ours` is the column group that our rows belong to.
    split: str = ""
    ours: str = ""
    on_request: bool = False  # superseded numbers and copies: only with --table


_METHOD = r"(?:(?P<column>relpos|multitask|jigsaw|localagg|moco)_)?(?P<row>.+)"
LAYOUTS: dict[str, PaperLayout] = {
    "1": PaperLayout("Table 1: ImageNet linear classification", ("T1",), label=("init", "arch")),
    "fig3": PaperLayout("Figure 3: three mechanisms", ("Fig3",), split=r"(?P<row>.+)_IN1M_(?P<column>K\d+)"),
    "momentum": PaperLayout("Momentum", ("ablation_momentum",), split=r"(?P<row>.+K4096)_(?P<column>m.+)"),
    "2": PaperLayout("Table 2: VOC 07+12, Faster R-CNN", ("T2a", "T2b"), gaps=True),
    "3": PaperLayout("Table 3: three mechanisms on VOC 07+12", ("T3",)),
    "4": PaperLayout("Table 4: VOC 07, Faster R-CNN", ("T4",), gaps=True, split=_METHOD, ours="moco"),
    "5": PaperLayout("Table 5: COCO, Mask R-CNN", ("T5a", "T5b", "T5c", "T5d"), gaps=True),
    "6": PaperLayout("Table 6: other tasks", ("T6",), gaps=True),
    "A.1": PaperLayout("Table A.1: COCO, longer training", ("T5b", "TA1b"), gaps=True),
    "A.4": PaperLayout("Appendix A.4: LVIS v0.5, BN frozen or tuned", ("A4",), by=("suite", "schedule")),
    "A.6": PaperLayout("Appendix A.6: iNaturalist 2018", ("A6",)),
    "A.7": PaperLayout("Appendix A.7: ImageNet fine-tuning", ("A7",)),
    "v2.1": PaperLayout("MoCo v2 Table 1: ablation", ("V2_T1",)),
    "v2.tau": PaperLayout("MoCo v2: temperature", ("V2_tau",), split=r"(?P<row>.+)_(?P<column>tau.+)"),
    "v2.2": PaperLayout("MoCo v2 Table 2: MoCo and SimCLR", ("V2_T2",)),
    "v2.3": PaperLayout("MoCo v2 Table 3: memory and time", ("V2_T3",)),
    "readme": PaperLayout(
        "README of the MoCo repository", ("repo_detection_README", "repo_README"), on_request=True
    ),
    "2-18k": PaperLayout(
        "Table 2 of arXiv v2 (18k iterations, superseded)", ("T2a_arxiv_v2", "T2b_arxiv_v2"), on_request=True
    ),
    "3-18k": PaperLayout(
        "Table 3 of arXiv v2 (18k iterations, superseded)", ("T3_arxiv_v2",), on_request=True
    ),
}


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
        match = re.fullmatch(layout.split, row.init)
        if match is None:
            raise RecordError(f"{row.table}: the init {row.init!r} does not fit {layout.split}")
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
