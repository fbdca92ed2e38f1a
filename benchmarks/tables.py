"""Prints the tables of the suites that were just run, and keeps them beside the records."""

from __future__ import annotations

from collections.abc import Sequence

from boltons.fileutils import atomic_save

from benchmarks.launch.job_file import open_record
from benchmarks.planning.cells import Cell
from benchmarks.planning.request import Request
from results.ranking.short import short_lines
from results.record import Record
from results.run_files import cell_directories
from results.store import load_records
from results.tables.columns import ride_along
from results.tables.markdown import md
from results.tables.suite import build_suite_table
from results.tables.terminal import term, terminal_width
from results.tables.trials import group_trials
from transfer.process.disk import writing


def write_tables(cells: Sequence[Cell], request: Request) -> None:
    """Prints one table per suite with all records of the directory, and writes table.md.

    Cells of the plan that have no record yet are shown as missing.
    """
    output = request.output
    records = load_records(output)
    begun = {record["id"] for record in records}
    planned = [open_record(cell, request, None) for cell in cells if cell.id not in begun]
    missing: list[Record] = [{**record, "status": "missing"} for record in planned]
    groups = group_trials([*records, *missing], cells=cell_directories(output))
    suites = {cell.suite.name: cell.suite for cell in cells}
    tables = []
    for name, suite in suites.items():
        rows = groups.get(name, [])
        tables.append(build_suite_table(rows, name, [*suite.metrics, *ride_along(rows, suite.metrics)]))
    tables[-1].legend += short_lines(groups)
    print(term(tables, terminal_width()))
    path = output / "table.md"
    output.mkdir(parents=True, exist_ok=True)
    with writing(path), atomic_save(str(path), text_mode=True, overwrite_part=True) as file:
        file.write(md(tables))
    print(f"records: {output / 'records'}  table: {path}  logs and pictures: {output / 'cells'}")
