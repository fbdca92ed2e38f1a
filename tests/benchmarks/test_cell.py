"""The process of a cell that another process has, or has finished."""

from __future__ import annotations

import fcntl
import itertools
import json
import types

import pytest

from benchmarks import cell as process
from benchmarks.launch.job import BUSY, ELSEWHERE, Job, settle
from results.store import find_record, save_record
from tests.benchmarks.fake_process import finished


@pytest.fixture(autouse=True)
def must_not_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets a cell that is run by mistake fail here; it would train for hours."""
    monkeypatch.setattr(process, "_run", lambda _: pytest.fail("the cell was run"))


def test_a_cell_that_another_process_finished_is_left_alone(
    job: Job, capsys: pytest.CaptureFixture[str]
) -> None:
    old = finished(json.loads(job.path.read_text())["record"])
    save_record(old, job.output)
    assert process.main(str(job.path)) == ELSEWHERE
    assert capsys.readouterr().err == "", "the log is that of the process that has run it"
    assert settle(job, ELSEWHERE) == "finished"
    assert "random, seed 0: finished meanwhile by another process" in capsys.readouterr().err
    assert find_record(job.output, job.suite, job.id) == old


def test_a_cell_that_another_process_has_is_left_to_it(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = itertools.count(step=10)
    monkeypatch.setattr(
        process, "time", types.SimpleNamespace(monotonic=lambda: next(clock), sleep=lambda _: None)
    )
    with job.path.with_name("lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert process.main(str(job.path)) == BUSY
    assert find_record(job.output, job.suite, job.id) is None


def test_ctrl_c_outside_training_leaves_a_cell_that_goes_on(
    job: Job, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A cell that was stopped while it predicted was once written down as failed, and stayed so."""

    def stopped(_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(process, "_run", stopped)
    code = process.main(str(job.path))
    assert code == 143
    assert settle(job, code) == "interrupted"
    record = find_record(job.output, job.suite, job.id)
    assert record is not None
    assert record["status"] == "interrupted"
    assert "stopped: by Ctrl-C, outside training; the same command goes on" in capsys.readouterr().err
