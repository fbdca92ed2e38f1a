"""The frame for notebooks: its grouped numbers are those of the tables, and no record is lost in it."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import pytest

from results.journal import CHANGED, RENAMED
from results.store import load_records, save_record
from results.tables.frame import COLUMNS, records_frame
from results.tables.suite import build_suite_table
from results.tables.trials import group_trials
from tests.conftest import ROOT


@pytest.fixture
def root(tmp_path: Path, make_record: Any) -> Path:
    records = [make_record("moco", t, 54.0 + t) for t in range(3)]
    records += [make_record("moco", t, 60.0 + t, recipe_sha256="7" * 64) for t in range(2)]
    records += [make_record("moco", 0, None, suite="lvis"), make_record("late", 0, status="running")]
    paths = [save_record(record, tmp_path / "runs" / "demo") for record in records]
    paths[0].write_text(paths[0].read_text().replace('"AP": 54.0', '"AP": 99.9'))
    return tmp_path / "runs" / "demo"


def test_the_lines_of_the_page_give_the_numbers_of_the_tables(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(root.parents[1])
    page = (ROOT / "docs" / "results.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    *before, last = code.strip().splitlines()
    names: dict[str, Any] = {}
    exec("\n".join(before), names)
    grouped = eval(last, names)
    cells = {
        (suite, row.label, column): cell
        for suite, rows in group_trials(load_records(root)).items()
        for row in build_suite_table(rows, suite, published=False).rows
        for column, cell in row.cells.items()
        if cell.value is not None
    }
    numbers = grouped.dropna(subset="mean")
    assert sorted(numbers.index) == sorted(cells)
    for key, (mean, std, count) in zip(numbers.index, numbers.to_numpy(), strict=True):
        cell = cells[key]
        assert (mean, count) == (pytest.approx(cell.value, rel=1e-12), cell.n)
        assert std == (
            pytest.approx(cell.std, rel=1e-12)
            if cell.std is not None
            else pytest.approx(math.nan, nan_ok=True)
        )
    assert {row for _, row, _ in cells} == {"moco [recipe 55555555]", "moco [recipe 77777777]"}


def test_no_record_is_lost(root: Path) -> None:
    frame = records_frame(load_records(root))
    assert list(frame.columns) == COLUMNS
    assert sorted(set(frame.id)) == sorted(record["id"] for record in load_records(root))
    (late,) = frame[frame.init == "late"].itertuples()
    assert (late.status, late.counts, late.metric) == ("running", False, "bbox/AP")
    assert math.isnan(late.value)
    (undefined,) = frame[frame.suite == "lvis"].itertuples()
    assert undefined.counts
    assert math.isnan(undefined.value)


def test_a_changed_record_is_there_and_does_not_count_unasked(root: Path) -> None:
    records = load_records(root)
    for left_out, counts in (((CHANGED, RENAMED), False), ((RENAMED,), True)):
        frame = records_frame(records, left_out)
        changed = frame[frame.doubt == CHANGED]
        assert changed.value.tolist() == [99.9, 79.0, 59.0]
        assert changed.counts.tolist() == [counts] * 3


def test_without_records_it_is_empty() -> None:
    frame = records_frame([])
    assert (len(frame), list(frame.columns)) == (0, COLUMNS)
