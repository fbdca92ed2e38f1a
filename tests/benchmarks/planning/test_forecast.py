"""The forecast: which cells run, which run again, and how long they take by what is known."""

from __future__ import annotations

import types
from typing import Any

import pytest

from benchmarks.arguments import POLICIES
from benchmarks.launch.job_file import open_record
from benchmarks.planning.cells import Cell
from benchmarks.planning.environment import cpu_name
from benchmarks.planning.forecast import cells_to_run, estimated_time, print_forecast
from benchmarks.planning.request import Request
from benchmarks.run import main
from results.store import save_record
from tests.benchmarks.fake_process import finished


def _finished(cell: Cell, request: Request, seconds: float, gpu: str | None = None) -> dict[str, Any]:
    environment = {"gpu": gpu, "cpu": "a processor"}
    durations = {"train": seconds / 2, "predict": seconds / 2}
    return finished(open_record(cell, request, None)) | {"environment": environment, "durations_s": durations}


def test_policies(cells: list[Cell]) -> None:
    states = ["finished", "failed", "interrupted", "running", "new"]
    rows = [types.SimpleNamespace(id=state) for state in states]
    known = dict(zip(states, states, strict=True))
    picked = {p: [row.id for row in cells_to_run(rows, known, p)] for p in POLICIES}  # type: ignore[arg-type]
    assert picked["only-missing"] == ["interrupted", "running", "new"]
    assert picked["retry-failed"] == ["failed", "interrupted", "running", "new"]
    assert picked["rerun"] == states


def test_policies_exclude_each_other(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["--suite", "voc_c4", "--init", "random", "--rerun", "--retry-failed"])
    assert stop.value.code == 2
    assert "not allowed with argument" in capsys.readouterr().err


def test_hours_are_those_of_earlier_records(cells: list[Cell], request_of: Request) -> None:
    records = [_finished(cells[0], request_of, seconds) for seconds in (3600, 10800)]
    assert estimated_time(cells, records, "a processor", 1) == [
        "estimated time: 4.0 h of work",
        "voc_c4: 2.0 h a cell in earlier records",
    ]
    at_once = estimated_time(cells, records, "a processor", 2)
    assert at_once[0] == "estimated time: 4.0 h of work, 2.0 h with 2 at once"
    unknown = ["estimated time: unknown, no earlier record of these recipes, this engine and hardware"]
    assert estimated_time(cells, records, "another", 1) == unknown
    assert estimated_time(cells, [], "a processor", 1) == unknown
    for field in ("recipe_sha256", "engine", "suite", "processes"):
        others = [r | {"identity": r["identity"] | {field: "other"}} for r in records]
        assert estimated_time(cells, others, "a processor", 1) == unknown
    assert estimated_time(cells, [r | {"status": "failed"} for r in records], "a processor", 1) == unknown


def test_hours_on_a_cluster_need_records_of_one_kind(cells: list[Cell], request_of: Request) -> None:
    one = [_finished(cells[0], request_of, 60, "H200"), _finished(cells[1], request_of, 180, "H200")]
    assert estimated_time(cells, one, None, None)[0] == "estimated time: 4.0 min of work"
    two = [*one, _finished(cells[0], request_of, 9, "V100")]
    assert "unknown" in estimated_time(cells, two, None, None)[0]


def test_what_is_said_of_a_plan(
    cells: list[Cell], request_of: Request, capsys: pytest.CaptureFixture[str]
) -> None:
    save_record(_finished(cells[0], request_of, 5) | {"init": "old name"}, request_of.output)
    known = {cells[0].id: "finished", cells[1].id: "failed"}
    print_forecast(cells, known, [], request_of, cpu_name(), 1)
    assert capsys.readouterr().err.splitlines() == [
        "plan: 2 cells: 1 finished, 1 failed, 0 to do",
        "  failed cells stay as they are; --retry-failed runs them again",
        "  random was finished under the name old name, which its row keeps",
    ]
    print_forecast(cells, known | {cells[1].id: "interrupted"}, cells[1:], request_of, None, 1)
    assert "  1 was begun before and goes on" in capsys.readouterr().err.splitlines()
