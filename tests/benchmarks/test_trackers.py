"""Cells of a grid in a tracker: a run a cell, its losses and metrics; and one that is not there."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.conftest import NARROW_KEYS, TINY_KEYS, Run
from tests.converters import fake_tracker

LEARNED = ("--suite", "voc_c4", "--smoke", "--device", "cpu", "--init", "random")


def test_a_cell_is_a_run(
    devkit: Path, tmp_path: Path, benchmark: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_TRACKER", str(tmp_path / "told"))
    words = (*LEARNED, "--data-root", devkit, "--output", tmp_path / "grid", "--tracker", fake_tracker.NAME)
    words += ("--limit", "2")
    done = benchmark(*words, *NARROW_KEYS, *TINY_KEYS, "SOLVER.MAX_ITER", "3")
    assert done.returncode == 0, done.stderr
    first, *logged, last = map(json.loads, (tmp_path / "told").read_text().splitlines())
    (record,) = (json.loads(path.read_text()) for path in (tmp_path / "grid").glob("records/*/*.json"))
    assert (first[1]["project"], first[1]["name"]) == ("grid", "voc_c4, random, seed 0, 2 test images")
    told = ("truncated", "not_comparable_because")
    assert [first[1]["config"][name] for name in told] == [record[name] for name in told]
    assert record["truncated"]["images"] == 2
    assert first[1]["config"]["evaluated"] is None
    assert first[1]["config"]["id"] == record["id"]
    assert first[1]["config"]["SOLVER.MAX_ITER"] == 3
    (log,) = (tmp_path / "grid").glob("cells/*/*/log.jsonl")
    entries = [json.loads(line) for line in log.read_text().splitlines()]
    for _, step, values in logged[:-1]:
        entry = entries.pop(0)
        assert (step, values["total_loss"]) == (entry["iteration"], entry["total_loss"])
        assert "loss_rpn_cls" in values
    assert entries == [], "all that is logged is told"
    assert logged[-1][1:] == [3, {f"bbox/{k}": v for k, v in record["metrics"]["bbox"].items()}]
    assert last == ["finish"]


def test_a_tracker_that_is_not_there_is_refused_before_the_start(devkit: Path, refuse: Run) -> None:
    words = (*LEARNED, "--data-root", devkit, "--tracker", "no_such_tracker")
    refuse(*words, message="--tracker no_such_tracker: cannot be imported .*; install it, or run without it")
