"""Two passes of one launcher, candidates and trials; a stop in between; a candidate without the test set."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch.distributed as dist

from benchmarks import cell as process
from benchmarks.launch import torchrun, tune
from benchmarks.launch.choose import Launch
from benchmarks.launch.job import Job
from benchmarks.launch.job_file import open_record, write_job
from benchmarks.planning.cells import Cell, make_cells, status
from benchmarks.planning.inits import Init
from benchmarks.planning.request import Request
from benchmarks.planning.suite import load_suite
from benchmarks.planning.tuning import candidates_of
from benchmarks.run import main
from results.store import find_record, load_records, save_record
from tests.benchmarks.command_line import QUICK_KEYS, miniature
from tests.benchmarks.fake_process import finished
from tests.results.printed import read_markdown
from transfer.process.distributed import Member
from transfer.training.finite import ADVICE

LAUNCH = Launch("only-missing", "cpu", 1, None, None)
SCORES = {0.005: 1.0, 0.01: 3.0, 0.02: 2.0}
Runs = list[list[str]]


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Runs]:
    """A launcher that trains nothing: it notes what it runs, and stops behind `most` cells of a call."""

    def made(most: int = 10**9, scores: dict[float, float] | None = None) -> Runs:
        seen: Runs = []

        def run_cells(cells: Sequence[Cell], request: Request, *_: object) -> int:
            todo = [cell for cell in cells if status(cell, request.output) not in ("finished", "failed")]
            seen.append([cell.id for cell in todo[:most]])
            for cell in todo[:most]:
                save_record(_record(cell, request, SCORES if scores is None else scores), request.output)
            return 130 if len(todo) > most else 0

        monkeypatch.setattr(tune, "run_cells", run_cells)
        return seen

    return made


def _record(cell: Cell, request: Request, scores: dict[float, float]) -> dict[str, Any]:
    rate = cell.recipe["SOLVER.BASE_LR"]
    if rate not in scores:
        error = f"iteration 2: loss = nan not finite; {ADVICE}"
        return {**open_record(cell, request, None), "status": "failed", "error": error}
    return finished({**open_record(cell, request, None)}) | {"metrics": {"bbox": {"AP": scores[rate]}}}


@pytest.fixture
def tuned(request_of: Request) -> Request:
    return Request(**{**vars(request_of), "tune": 3})


def test_a_stop_in_the_tuning_goes_on_where_it_was(
    cells: list[Cell], tuned: Request, runs: Callable[..., Runs], capsys: pytest.CaptureFixture[str]
) -> None:
    first = runs(most=2)
    assert tune.run_all(cells, tuned, LAUNCH, None) == (130, [])
    assert list(map(len, first)) == [2], "no trial begins before its rate is known"
    assert "error" not in capsys.readouterr().err
    second = runs()
    code, trials = tune.run_all(cells, tuned, LAUNCH, None)
    assert code == 0
    assert list(map(len, second)) == [1, 2]
    assert not set(first[0]) & set(second[0])
    assert second[1] == [cell.id for cell in trials]
    assert [cell.recipe["SOLVER.BASE_LR"] for cell in trials] == [0.01, 0.01]
    third = runs()
    assert tune.run_all(cells, tuned, LAUNCH, None)[0] == 0
    assert third == [[], []]


def test_a_candidate_that_diverges_is_no_failure_of_the_whole(
    cells: list[Cell], tuned: Request, runs: Callable[..., Runs], capsys: pytest.CaptureFixture[str]
) -> None:
    runs(scores={0.005: 1.0, 0.01: 1.0})
    code, trials = tune.run_all(cells, tuned, LAUNCH, None)
    assert (code, len(trials)) == (0, 2)
    assert "0.02: diverged" in capsys.readouterr().err
    assert trials[0].tuned is not None
    assert [one["score"] for one in trials[0].tuned["candidates"]] == [1.0, 1.0, None]
    states = [record["status"] for record in load_records(tuned.output) if record.get("candidate")]
    assert sorted(states) == ["failed", "finished", "finished"]


def test_a_row_without_a_rate_is_told_and_fails(
    cells: list[Cell], tuned: Request, runs: Callable[..., Runs], capsys: pytest.CaptureFixture[str]
) -> None:
    runs(scores={})
    assert tune.run_all(cells, tuned, LAUNCH, None) == (1, [])
    said = capsys.readouterr().err
    assert "error: tuning: voc_c4, random: no rate yet: all candidates diverged; lower" in said


def test_without_tuning_nothing_changes(
    cells: list[Cell], request_of: Request, runs: Callable[..., Runs]
) -> None:
    seen = runs(scores={0.01: 5.0})
    assert tune.run_all(cells, request_of, LAUNCH, None) == (0, cells)
    assert seen == [[cell.id for cell in cells]]
    assert not any("tuned" in record or "candidate" in record for record in load_records(request_of.output))


def test_a_candidate_runs_where_no_test_set_is(devkit: Path, tmp_path: Path) -> None:
    """A real cell, on data whose test list and test annotations are gone since the plan was made."""
    root = tmp_path / "data"
    shutil.copytree(devkit, root)
    keys = list(zip(QUICK_KEYS[::2], QUICK_KEYS[1::2], strict=True))
    request = Request(1, 0, "torchvision", True, False, root, 1, keys, tmp_path / "runs")
    (trial,) = make_cells(load_suite("voc_c4"), [Init("random", None)], request)
    (candidate,) = candidates_of([trial], 1)
    kit = root / "VOC2007"
    for name in (kit / "ImageSets" / "Main" / "test.txt").read_text().split():
        (kit / "Annotations" / f"{name}.xml").unlink()
        (kit / "JPEGImages" / f"{name}.jpg").unlink()
    (kit / "ImageSets" / "Main" / "test.txt").unlink()
    job = write_job(candidate, request, "cpu")
    assert job.title == "voc_c4, random, tuning, SOLVER.BASE_LR 0.01"
    assert process.main(str(job.path)) == 0
    record = find_record(request.output, "voc_c4", candidate.id)
    assert record is not None
    assert record["status"] == "finished"
    told = record["candidate"]
    assert told is not None
    assert (told["base_lr"], told["factor"]) == (0.01, 1.0)
    held = json.loads((job.path.parent / "per_class.json").read_text())
    assert held
    assert (
        record["data"]["test"]["images"] == told["split"]["held_out"]["images"] == len(candidate.test.records)
    )
    assert "test" not in record["data"]["test"]["name"]


@pytest.mark.slow
def test_the_whole_command(devkit: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    words = [*miniature("random", data_root=devkit, output=tmp_path), "--tune", "2", *QUICK_KEYS]
    assert main(words) == 0
    records = load_records(tmp_path)
    assert [bool(record.get("candidate")) for record in records].count(True) == 2
    (trial,) = [record for record in records if record.get("tuned")]
    assert len(records) == 3
    best = max((r for r in records if r.get("candidate")), key=lambda r: r["metrics"]["bbox"]["AP"] or 0)
    assert trial["tuned"] is not None
    assert trial["recipe"]["SOLVER.BASE_LR"] == trial["tuned"]["base_lr"]
    assert best["metrics"]["bbox"]["AP"] in [one["score"] for one in trial["tuned"]["candidates"]]
    (table,) = read_markdown((tmp_path / "table.md").read_text())
    assert any("tuned: SOLVER.BASE_LR" in note and "at the edge of the grid" in note for note in table.notes)
    assert len([label for label in table.labels if label.startswith("random (")]) == 1
    capfd.readouterr()
    assert main(words) == 0
    assert "plan: 2 cells: 2 finished, 0 to do" in capfd.readouterr().err


def test_torchruns_ranks_follow_from_the_candidates_to_the_trials(
    job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A number that was given twice would be a cell that no other rank takes part in."""
    store, taken = dist.HashStore(), []
    monkeypatch.setattr(torchrun, "_take_part", lambda _team, number, *_: taken.append(number) or 0)
    monkeypatch.setattr(torchrun, "settle", lambda *_: "finished")
    team = torchrun.Team(Member(0, 0, 2, 2, ""), store)
    assert torchrun.run_team([job, job], team) == 0
    assert torchrun.run_team([job], team) == 0
    assert taken == [0, 1, 2]
    assert all(store.check([f"cell/{number}"]) for number in taken)
