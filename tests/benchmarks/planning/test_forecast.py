"""The forecast: which cells run, which run again, and how long they take by what is known."""

from __future__ import annotations

import dataclasses
import multiprocessing
import types
from pathlib import Path
from typing import Any

import pytest

from benchmarks.arguments import POLICIES
from benchmarks.launch.job_file import open_record
from benchmarks.planning import forecast
from benchmarks.planning.cells import Cell, make_cells
from benchmarks.planning.environment import cpu_name
from benchmarks.planning.forecast import cells_to_run, estimated_time, print_forecast
from benchmarks.planning.inits import Init
from benchmarks.planning.request import Request
from benchmarks.planning.speed import Speed, measure
from benchmarks.planning.suite import load_suite
from benchmarks.run import main
from results.store import save_record
from tests.benchmarks.command_line import QUICK_KEYS
from tests.benchmarks.fake_process import finished
from tests.conftest import forks_can_learn


def _finished(cell: Cell, request: Request, seconds: float, gpu: str | None = None) -> dict[str, Any]:
    environment = {"gpu": gpu, "cpu": "a processor"}
    durations = {"train": seconds / 2, "predict": seconds / 2}
    record = open_record(cell, request, None)
    measured = {"environment": environment, "durations_s": durations, "data": record["data"]}
    return finished({**record}) | measured


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


BY_RECORDS = "by earlier records of the same network and sizes"
UNKNOWN = ["estimated time: unknown, no earlier record of alike cells on this hardware"]


def test_hours_are_those_of_earlier_records(cells: list[Cell], request_of: Request) -> None:
    records = [_finished(cells[0], request_of, seconds) for seconds in (3600, 10800)]
    assert estimated_time(cells, records, "a processor", 1) == [
        "estimated time: 4.0 h of work",
        f"voc_c4: 2.0 h a cell, {BY_RECORDS}",
    ]
    at_once = estimated_time(cells, records, "a processor", 2)
    assert at_once[0] == "estimated time: 4.0 h of work, 2.0 h with 2 at once"
    assert estimated_time(cells, records, "another", 1) == UNKNOWN
    assert estimated_time(cells, [], "a processor", 1) == UNKNOWN
    for field in ("engine", "processes", "micro_steps", "deterministic"):
        others = [r | {"identity": r["identity"] | {field: "other"}} for r in records]
        assert estimated_time(cells, others, "a processor", 1) == UNKNOWN
    for key in ("MODEL.RESNETS.WIDTH_PER_GROUP", "INPUT.MIN_SIZE_TEST", "SOLVER.AMP.ENABLED"):
        others = [r | {"recipe": r["recipe"] | {key: "other"}} for r in records]
        assert estimated_time(cells, others, "a processor", 1) == UNKNOWN
    assert estimated_time(cells, [r | {"status": "failed"} for r in records], "a processor", 1) == UNKNOWN


def test_hours_grow_with_the_images_and_not_with_the_rate(cells: list[Cell], request_of: Request) -> None:
    """A record half as long, tested on half as many images, at another rate and of another suite."""
    (cell,) = cells[:1]
    record = _finished(cell, request_of, 3600)
    steps = cell.recipe["SOLVER.MAX_ITER"]
    if cell.recipe["TEST.PRECISE_BN.ENABLED"]:
        steps += cell.recipe["TEST.PRECISE_BN.NUM_ITER"] / 3
    short = {"SOLVER.MAX_ITER": steps / 2, "TEST.PRECISE_BN.ENABLED": False, "SOLVER.BASE_LR": 9.0}
    few = {"test": {"images": record["data"]["test"]["images"] // 2}}
    other = record | {"suite": "other", "recipe": record["recipe"] | short, "data": few}
    assert estimated_time([cell], [other], "a processor", 1)[0] == "estimated time: 2.0 h of work"


def test_an_own_measurement_stands_in_for_records(cells: list[Cell], request_of: Request) -> None:
    asked = []

    def measured(cell: Cell) -> Speed:
        asked.append(cell.id)
        return Speed(train=0.0, test=3600 / cell.test.summary["images"])

    assert estimated_time(cells, [], "a processor", 1, measured) == [
        "estimated time: 2.0 h of work",
        "voc_c4: 1.0 h a cell, by a step that was measured now, without reading images",
    ]
    assert asked == [cells[0].id], "once for a kind"
    record = _finished(cells[0], request_of, 60)
    assert BY_RECORDS in estimated_time(cells, [record], "a processor", 1, measured)[1]
    assert len(asked) == 1
    assert estimated_time(cells, [], "a processor", 1, lambda _: None) == UNKNOWN


def test_a_step_is_measured(devkit: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = list(zip(QUICK_KEYS[::2], QUICK_KEYS[1::2], strict=True))
    request = Request(1, 0, "torchvision", True, False, devkit, 1, keys, tmp_path)
    (cell,) = make_cells(load_suite("voc_c4"), [Init("random", None)], request)
    speed = measure(cell, "cpu")
    assert speed is not None
    assert 0.0001 < speed.train < 30
    assert 0.0001 < speed.test < 30
    if forks_can_learn():  # the process above imported all by itself
        fork = multiprocessing.get_context("fork")
        monkeypatch.setattr(multiprocessing, "get_context", lambda _: fork)
        assert measure(cell, "cpu") is not None
    broken = dataclasses.replace(cell, recipe=cell.recipe | {"MODEL.RESNETS.NORM": "none"})
    assert measure(broken, "cpu") is None, "the cell will tell why"


def test_a_plan_counts_the_trials_that_follow_and_measures_no_miniature(
    cells: list[Cell],
    request_of: Request,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(
        forecast, "measure", lambda cell, device: Speed(0.0, 60 / cell.test.summary["images"])
    )
    known = {cell.id: "new" for cell in cells}
    large = dataclasses.replace(request_of, smoke=False)
    print_forecast(cells, known, cells, large, cpu_name(), 1, "cpu", cells)
    assert capsys.readouterr().err.splitlines()[:3] == [
        "plan: 2 cells: 2 to do",
        "  2 trials at the best rates follow",
        "  estimated time: 4.0 min of work",
    ]
    print_forecast(cells, known, cells, request_of, cpu_name(), 1, "cpu")
    assert UNKNOWN[0] in capsys.readouterr().err
    print_forecast(cells, known, cells, large, None, 1)
    assert UNKNOWN[0] in capsys.readouterr().err, "a cluster's hardware is not this machine"


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
