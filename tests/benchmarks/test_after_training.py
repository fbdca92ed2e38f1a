"""Whatever fails when the numbers are there: they are kept, a line says so, nothing is trained again."""

from __future__ import annotations

import errno
import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from benchmarks import cell as process
from benchmarks.launch.job import GOES_ON, Job, settle
from benchmarks.launch.job_file import write_job
from benchmarks.planning.cells import Cell, make_cells
from benchmarks.planning.inits import Init
from benchmarks.planning.request import Request
from benchmarks.tables import write_tables
from results.store import find_record, save_record
from tests.benchmarks.command_line import QUICK_KEYS, miniature
from tests.benchmarks.fake_process import finished
from tests.conftest import Run
from transfer import run as transfer_run
from transfer.errors import DataError, DiskError
from transfer.training.outcome import FILE, keep_metrics

METRICS = {"bbox": {"AP": 12.345, "AP50": 30.0, "AP75": None}}


def _outcome(content: dict[str, Any], metrics: dict[str, Any]) -> dict[str, Any]:
    """The fields that a run returns, without the run."""
    keep_metrics(Path(content["directory"]), metrics)
    done = finished(content["record"]) | {"metrics": metrics}
    return {key: done[key] for key in done if content["record"].get(key) != done[key]}


def _raises(kind: type[Exception], *arguments: Any) -> Callable[[dict[str, Any]], Any]:
    def run(content: dict[str, Any]) -> Any:
        _outcome(content, METRICS)
        raise kind(*arguments)  # a new one: an old one keeps the frames, and so the lock, of its first time

    return run


FAILURES: dict[str, tuple[Callable[[dict[str, Any]], Any], str]] = {
    "a full disk": (
        _raises(DiskError, "/x/predictions: No space left on device"),
        "/x/predictions: No space left",
    ),
    "a full disk, without a path": (
        _raises(OSError, errno.ENOSPC, "No space left on device"),
        "No space left",
    ),
    "a bug of ours": (_raises(ZeroDivisionError, "division by zero"), "division by zero"),
    "data": (_raises(DataError, "img.jpg: gone"), "img.jpg: gone"),
    "an invalid record": (
        lambda content: _outcome(content, {"bbox": {"other": 1.0}}),
        "the primary metric 'bbox/AP' is not among the metrics",
    ),
}


@pytest.mark.parametrize("kind", FAILURES)
def test_the_numbers_are_kept_and_the_same_command_goes_on(
    kind: str, job: Job, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run, message = FAILURES[kind]
    monkeypatch.setattr(process, "_run", run)
    assert process.main(str(job.path)) == GOES_ON
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: voc_c4, random, seed 0: ")
    assert message in line
    kept = job.path.with_name(FILE)
    assert f"its numbers are kept in {kept} (bbox/" in line
    assert line.endswith("the same command goes on without training")
    record = find_record(job.output, job.suite, job.id)
    assert record is not None
    assert record["status"] == "interrupted"
    assert message in record["error"]
    assert record["metrics"] == json.loads(kept.read_text())
    assert settle(job, GOES_ON) == "interrupted"

    monkeypatch.setattr(process, "_run", lambda content: _outcome(content, METRICS))
    assert process.main(str(job.path)) == 0
    record = find_record(job.output, job.suite, job.id)
    assert record is not None
    assert (record["status"], record["error"]) == ("finished", None)
    assert record["metrics"]["bbox"] == {"AP": 12.345, "AP50": 30.0, "AP75": None}
    assert not kept.exists(), "a record holds them now"


def test_without_numbers_a_failure_is_a_failure(
    job: Job, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(_: dict[str, Any]) -> None:
        raise FloatingPointError("diverged")

    monkeypatch.setattr(process, "_run", run)
    assert process.main(str(job.path)) == 1
    assert settle(job, 1) == "failed"
    assert capsys.readouterr().err == "error: voc_c4, random, seed 0: diverged\n"


def test_a_disk_that_takes_no_record_either(
    job: Job, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The line is all that there is, and the cell counts as stopped, not as failed."""

    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(process, "save_record", full)
    assert process.main(str(job.path)) == GOES_ON
    (line,) = capsys.readouterr().err.splitlines()
    assert f"{job.output}: No space left on device (" in line
    assert "MB are free); make room, and the same command goes on" in line
    assert find_record(job.output, job.suite, job.id) is None
    assert settle(job, GOES_ON) == "interrupted"


def test_a_rerun_does_not_take_the_numbers_of_the_run_before(
    cells: list[Cell], request_of: Request, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = write_job(cells[0], request_of, "cpu")
    content = json.loads(job.path.read_text())
    save_record(content["record"] | {"status": "failed", "error": "x"}, request_of.output)
    keep_metrics(job.path.parent, METRICS)
    job = write_job(cells[0], request_of, "cpu", rerun=True)

    def run(_: dict[str, Any]) -> None:
        raise FloatingPointError("diverged")

    monkeypatch.setattr(process, "_run", run)
    assert process.main(str(job.path)) == 1
    record = find_record(job.output, job.suite, job.id)
    assert record is not None
    assert (record["status"], record["metrics"]) == ("failed", {})


@pytest.mark.parametrize("what", ["picture", "error analysis"])
def test_what_no_number_depends_on_costs_a_line_where_it_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], what: str
) -> None:
    """Metrics, predictions and outcomes of images are there; a picture and the errors may fail."""

    def score(error: Exception) -> Any:
        def fail(*_: Any) -> None:
            raise error

        scores = SimpleNamespace(summary=METRICS, per_class={})
        monkeypatch.setattr(transfer_run, "evaluate", lambda *_: scores)
        for name in ("write_predictions", "outcomes", "errors", "save_samples"):
            monkeypatch.setattr(transfer_run, name, lambda *_: None)
        monkeypatch.setattr(transfer_run, "errors" if what == "error analysis" else "save_samples", fail)
        return transfer_run._score(None, [], tmp_path, transfer_run.Clock({}))  # type: ignore[arg-type]

    assert score(ValueError("no font")) == METRICS
    file = "tide.json" if what == "error analysis" else "samples.png"
    assert capsys.readouterr().err == f"no {what}: {tmp_path}/{file}: ValueError: no font\n"
    with pytest.raises(DiskError, match=f"{tmp_path}/{file}: No space left"):
        score(OSError(errno.ENOSPC, "No space left on device"))


def test_planned_cells_are_missing_in_the_table(
    cells: list[Cell], request_of: Request, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [Init("random", None), Init("first", None), Init("second", None)]
    first, second = (make_cells(cells[0].suite, [row], request_of) for row in rows[1:])
    write_tables(first, request_of)
    assert "2 missing" in capsys.readouterr().out
    begun = json.loads(write_job(first[0], request_of, "cpu").path.read_text())["record"]
    save_record(begun | {"status": "interrupted"}, request_of.output)
    write_tables(first, request_of)
    printed = capsys.readouterr().out
    assert "1 interrupted, 1 missing" in printed
    assert "1 interrupted, 1 missing" in (request_of.output / "table.md").read_text()
    assert len(list(request_of.output.glob("records/*/*.json"))) == 1, "what is planned is no record"
    assert second[0].id == first[0].id


@pytest.mark.slow
def test_a_run_that_cannot_write_its_predictions_is_finished_without_training(
    devkit: Path, tmp_path: Path, benchmark: Run
) -> None:
    options = miniature("random", data_root=devkit, output=tmp_path)
    planned = benchmark(*options, "--dry-run", *QUICK_KEYS)
    (id,) = [line.split()[1] for line in planned.stdout.splitlines() if line.startswith("cell ")]
    directory = tmp_path / "cells" / "voc_c4" / f"random-{id}"
    directory.mkdir(parents=True)
    (directory / "predictions").write_text("in the way")
    done = benchmark(*options, *QUICK_KEYS)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "predictions: File exists; its numbers are kept in" in done.stderr
    kept, log = json.loads((directory / FILE).read_text()), (directory / "log.jsonl").read_text()
    assert len(log.splitlines()) == 2
    (directory / "predictions").unlink()
    done = benchmark(*options, *QUICK_KEYS)
    assert done.returncode == 0, done.stderr
    assert "train " not in done.stderr, "no iteration was made"
    assert (directory / "log.jsonl").read_text() == log
    record = json.loads((tmp_path / "records" / "voc_c4" / f"{id}.json").read_text())
    assert record["metrics"] == kept
    left = {path.name for path in directory.iterdir()}
    assert {"predictions", "per_class.json", "samples.png"} <= left
    assert not {FILE, "checkpoints.json"} & left
