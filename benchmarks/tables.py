"""The tables of the suites that were just run, printed and kept beside the records."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from boltons.fileutils import atomic_save

from benchmarks.plan import Cell
from results.markdown import md
from results.store import load_records
from results.table import build_suite_table
from results.terminal import term, terminal_width
from results.trials import group_trials


def write_tables(cells: Sequence[Cell], output: Path) -> None:
    """Prints one table per suite with all records of the directory, and writes table.md."""
    groups = group_trials(load_records(output))
    suites = {cell.suite.name: cell.suite for cell in cells}
    tables = [build_suite_table(groups.get(name, []), name, suite.metrics) for name, suite in suites.items()]
    print(term(tables, terminal_width()))
    path = output / "table.md"
    with atomic_save(str(path), text_mode=True, overwrite_part=True) as file:
        file.write(md(tables))
    print(f"records: {output / 'records'}  table: {path}  logs and pictures: {output / 'cells'}")
