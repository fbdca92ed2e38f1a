"""Reads the published numbers, facts with their source, from results/published/*.csv.

One line is one published row of one suite: the metrics it gives, separated by spaces, and as many values.
Adding somebody's row is adding one line, to any of the files or to a new one beside them. Columns:

    table,suite,arch,schedule,init,metric,value,source
"""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from results.errors import RecordError

DIRECTORY = Path(__file__).parents[1] / "published"
COLUMNS = ["table", "suite", "arch", "schedule", "init", "metric", "value", "source"]
# what a paper may print in place of a number
WORDS = ("fail", "n/a", "-")
PERCENT = 100.0  # no metric exceeds it but a cost, such as cost/memory_gb_per_gpu
_NUMBER = re.compile(r"-?\d+(\.\d+)?", re.ASCII)
# Versions of a table that its authors replaced, and copies of a table elsewhere: shown on request only.
NOT_CURRENT = ("_arxiv_v2", "repo_")
# Comparisons of other papers, by rates and schedules of their own: tables of their own, not beside our rows.
OWN_TABLE = "joint_"


@dataclass(frozen=True)
class PublishedRow:
    """One row of one published table: `values` maps the flat metric name to the number exactly as printed."""

    table: str
    suite: str
    arch: str
    schedule: str
    init: str
    values: dict[str, str]
    source: str

    @property
    def current(self) -> bool:
        """Whether the row is neither of a superseded version nor of a copy of a table."""
        return not (self.table.endswith(NOT_CURRENT[0]) or self.table.startswith(NOT_CURRENT[1]))


def load_published(directory: Path = DIRECTORY) -> list[PublishedRow]:
    """All rows, in the order of the file names and lines; RecordError names a malformed one's place."""
    return [row for path in sorted(directory.glob("*.csv")) for row in _read(path)]


def published_for_suite(rows: Sequence[PublishedRow], suite: str) -> list[PublishedRow]:
    """The current rows of one suite, a network's numbers once: the papers repeat their baselines.

    Several equal numbers are one network's, whatever it is called; one number may be equal by chance.
    """
    unique: dict[tuple[str, str, frozenset[tuple[str, str]]], PublishedRow] = {}
    for row in rows:
        if row.suite == suite and row.current and not row.table.startswith(OWN_TABLE):
            name = row.init if len(row.values) == 1 else ""
            unique.setdefault((row.arch, name, frozenset(row.values.items())), row)
    return list(unique.values())


def _read(path: Path) -> list[PublishedRow]:
    rows: list[PublishedRow] = []
    number = 1
    try:
        # spreadsheets write a mark before the first column's name
        with open(path, encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            header = next(reader, None)
            if header != COLUMNS:
                raise RecordError(f"{path.name}:1: the first line is {header}, expected {','.join(COLUMNS)}")
            for line in reader:
                number = reader.line_num
                if line:
                    rows.append(_parse(line, f"{path.name}:{number}"))
    except (csv.Error, UnicodeDecodeError) as error:
        raise RecordError(f"{path.name}: after line {number}: {error}; save it as CSV in UTF-8") from None
    return rows


def _parse(line: list[str], where: str) -> PublishedRow:
    if len(line) != len(COLUMNS):
        raise RecordError(f"{where}: {len(line)} fields, expected {len(COLUMNS)} ({','.join(COLUMNS)})")
    table, suite, arch, schedule, init, metric, value, source = line
    metrics, values = metric.split(), value.split()
    if not metrics or len(metrics) != len(values):
        raise RecordError(
            f"{where}: {len(metrics)} metrics and {len(values)} values, expected as many of each"
        )
    if len(set(metrics)) < len(metrics):
        raise RecordError(f"{where}: a metric is named twice in {metric!r}")
    for name, text in zip(metrics, values, strict=True):
        _check(name, text, where)
    if not source:
        raise RecordError(f"{where}: no source; say where the number is printed")
    return PublishedRow(table, suite, arch, schedule, init, dict(zip(metrics, values, strict=True)), source)


def _check(metric: str, text: str, where: str) -> None:
    if text in WORDS:
        return
    most = float("inf") if metric.startswith("cost/") else PERCENT
    if not _NUMBER.fullmatch(text) or not 0 <= float(text) <= most:
        allowed = "a number from 0" if most > PERCENT else "a number from 0 to 100 (per cent)"
        words = ", ".join(WORDS)
        raise RecordError(f"{where}: {metric} is {text!r}, expected {allowed} or one of {words}")
