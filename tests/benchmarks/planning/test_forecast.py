"""What runs, what runs again, how long it takes by what is known; and inits from a list."""

from __future__ import annotations

import fcntl
import itertools
import json
import types
from pathlib import Path
from typing import Any

import pytest

from benchmarks import cell as process
from benchmarks.arguments import POLICIES
from benchmarks.errors import UsageError
from benchmarks.launch.job import BUSY, ELSEWHERE, settle
from benchmarks.launch.job_file import open_record, write_job
from benchmarks.planning.cells import Cell, make_cells
from benchmarks.planning.environment import cpu_name
from benchmarks.planning.forecast import cells_to_run, estimated_time, print_forecast
from benchmarks.planning.inits import Init, open_inits
from benchmarks.planning.request import Request
from benchmarks.planning.suite import load_suite
from benchmarks.run import main
from converters.errors import CheckpointError
from results.store import find_record, save_record
from tests.benchmarks.fake_process import finished


@pytest.fixture
def request_of(devkit: Path, tmp_path: Path) -> Request:
    return Request(2, 0, "torchvision", True, False, devkit, 1, [], tmp_path / "runs")


@pytest.fixture
def cells(request_of: Request) -> list[Cell]:
    return make_cells(load_suite("voc_c4"), [Init("random", None)], request_of)


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


def test_a_rerun_begins_from_the_start_and_an_interrupted_rerun_goes_on(
    cells: list[Cell], request_of: Request
) -> None:
    def content(rerun: bool) -> dict[str, Any]:
        return json.loads(write_job(cells[0], request_of, "cpu", rerun).path.read_text())

    old = _finished(cells[0], request_of, 5)
    save_record(old, request_of.output)
    again = content(rerun=True)
    assert (again["replaces"], again["from_start"]) == (old["finished_at"], True)
    assert again["record"]["started_at"] > old["started_at"]
    assert content(rerun=False)["replaces"] is None
    save_record(again["record"] | {"status": "interrupted"}, request_of.output)
    assert (content(rerun=True)["replaces"], content(rerun=True)["from_start"]) == (None, False)
    assert content(rerun=True)["record"]["started_at"] == again["record"]["started_at"]


def _must_not_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """A cell that is run by mistake fails here; it would train for hours."""
    monkeypatch.setattr(process, "_run", lambda _: pytest.fail("the cell was run"))


def test_a_cell_that_another_process_finished_is_left_alone(
    cells: list[Cell],
    request_of: Request,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _must_not_run(monkeypatch)
    job = write_job(cells[0], request_of, "cpu")
    old = _finished(cells[0], request_of, 5)
    save_record(old, request_of.output)
    assert process.main(str(job.path)) == ELSEWHERE
    assert capsys.readouterr().err == "", "the log is that of the process that has run it"
    assert settle(job, ELSEWHERE) == "finished"
    assert "random, seed 0: finished meanwhile by another process" in capsys.readouterr().err
    assert find_record(request_of.output, job.suite, job.id) == old


def test_a_cell_that_another_process_has_is_left_to_it(
    cells: list[Cell], request_of: Request, monkeypatch: pytest.MonkeyPatch
) -> None:
    _must_not_run(monkeypatch)
    job = write_job(cells[0], request_of, "cpu")
    clock = itertools.count(step=10)
    monkeypatch.setattr(
        process, "time", types.SimpleNamespace(monotonic=lambda: next(clock), sleep=lambda _: None)
    )
    with job.path.with_name("lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert process.main(str(job.path)) == BUSY
    assert find_record(request_of.output, job.suite, job.id) is None


def test_inits_from_a_list(narrow_backbone: Path, tmp_path: Path) -> None:
    (tmp_path / "nets").mkdir()
    (tmp_path / "nets" / "net.pkl").write_bytes(narrow_backbone.read_bytes())
    path = tmp_path / "nets" / "list.txt"
    path.write_text(f"# rows\n\nrandom\nscratch = random  # again\nnet.pkl\n  b#1={narrow_backbone}\n")
    inits = open_inits([f"@{path}", "c=random"])
    assert [init.label for init in inits] == ["random", "scratch", "net", "b#1", "c"]
    assert [init.backbone is None for init in inits] == [True, True, False, False, True]


def test_mistakes_in_a_list_name_file_and_line(tmp_path: Path) -> None:
    path = tmp_path / "list.txt"
    (tmp_path / "broken.pth").write_bytes(b"")
    for text, message, kind in [
        (
            "random\n\nrandon",
            r"list.txt:3: --init .*randon: no such file, and not a name; did you mean random",
            UsageError,
        ),
        ("broken.pth", r"list.txt:1: .*broken.pth: .*empty", CheckpointError),
        ("# nothing\n", "no init; expected one a line", UsageError),
        ("random\na=random\nrandom", "two rows are called 'random'", UsageError),
    ]:
        path.write_text(text)
        with pytest.raises(kind, match=message):
            open_inits([f"@{path}"])
    with pytest.raises(UsageError, match=r"absent.txt: cannot be read \(No such file"):
        open_inits([f"@{tmp_path}/absent.txt"])
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(UsageError, match="no UTF-8 text"):
        open_inits([f"@{path}"])
