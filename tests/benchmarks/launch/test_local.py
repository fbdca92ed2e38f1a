"""The local launcher: who runs where and when, and what becomes of cells that end in any way."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from benchmarks.errors import UsageError
from benchmarks.launch.job import BUSY, ELSEWHERE, ERRORS, GOES_ON, settle
from benchmarks.launch.local import cpu_slots, gpu_slots, run_local, visible_gpus
from results.store import find_record, save_record
from tests.benchmarks.fake_cell import FakeJob, fake_job
from tests.benchmarks.fake_process import finished
from transfer.errors import DiskError, Interrupted, TransferError
from transfer.process.causes import tell


def _record(job: FakeJob) -> dict[str, Any]:
    record = find_record(job.output, job.suite, job.id)
    assert record is not None
    return record


def _seen(job: FakeJob) -> dict[str, Any]:
    return json.loads(job.path.with_name("seen.json").read_text())


def test_cells_are_packed_onto_the_gpus_and_never_share_one(tmp_path: Path) -> None:
    # two and two wait for each other: they end only if they run at the same time
    jobs = [fake_job(tmp_path, seed, seconds=300, until=2 * (seed // 2 + 1)) for seed in range(6)]
    began = time.monotonic()
    assert run_local(jobs, gpu_slots(["0", "1", "5", "7"], 2, None)) == 0
    assert time.monotonic() - began < 300
    seen = [_seen(job) for job in jobs]
    assert {one["gpus"] for one in seen} == {"0,1", "5,7"}
    for i, one in enumerate(seen):
        for other in seen[i + 1 :]:
            together = one["began"] < other["ended"] and other["began"] < one["ended"]
            assert not (together and one["gpus"] == other["gpus"])


def test_each_end_of_a_cell_is_its_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ends = ["finished", "failed", "SIGKILL", "SIGABRT", 3, 0, GOES_ON, BUSY]
    jobs = [fake_job(tmp_path, seed, end=end) for seed, end in enumerate(ends)]
    assert run_local(jobs, cpu_slots(3)) == 1
    states = [_record(job)["status"] for job in jobs]
    assert " ".join(states) == "finished failed interrupted failed failed failed interrupted running"
    assert "killed by SIGKILL (out of memory?" in _record(jobs[2])["error"]
    assert "killed by SIGABRT; its output is in" in _record(jobs[3])["error"]
    assert "ended with exit code 3" in _record(jobs[4])["error"]
    printed = capsys.readouterr().err
    assert "2 cells are interrupted; the same command goes on" in printed
    assert "1 cell is busy; another process runs what is busy" in printed
    assert "8 of 8 cells done" in printed


def test_a_cell_that_another_command_finished_is_told_apart_from_its_log(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two commands share the log of a cell: what one has to say of itself does not belong there."""
    jobs = [fake_job(tmp_path, 0, end=ELSEWHERE), fake_job(tmp_path, 1, end=BUSY)]
    assert run_local(jobs, [{}]) == 1
    printed = capsys.readouterr().err
    assert "job 0: finished meanwhile by another process" in printed
    assert "job 1: another process has this cell" in printed
    assert [job.log.read_text() for job in jobs] == ["hello\n", "hello\n"]


def test_a_cell_that_another_command_has_is_left_for_the_end(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Commands that share an output take other cells meanwhile; each once waited a minute for every cell."""
    jobs = [fake_job(tmp_path, seed) for seed in range(3)]
    with jobs[0].lock.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert run_local(jobs, [{}]) == 0
    told = [line for line in capsys.readouterr().err.splitlines() if line.startswith("cell ")]
    assert told == ["cell 1/3: job 1", "cell 2/3: job 2", "cell 3/3: job 0"]


def test_bad_input_is_exit_code_two(tmp_path: Path) -> None:
    job = fake_job(tmp_path, 0, end=2)
    save_record(json.loads(job.path.read_text())["record"], tmp_path)
    assert run_local([job, fake_job(tmp_path, 1)], [{}]) == 2
    assert run_local([fake_job(tmp_path, 2)], [{}]) == 0


def test_what_cells_say_is_kept_and_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    jobs = [fake_job(tmp_path, seed, says=f"words of {seed}\nand more") for seed in range(2)]
    assert run_local(jobs, cpu_slots(2)) == 0
    printed = capsys.readouterr().err
    assert "[job 1] words of 1\n[job 1] and more\n" in printed
    assert jobs[0].log.read_text() == "words of 0\nand more\n"
    (again,) = [fake_job(tmp_path, 7, says="alone")]
    assert run_local([again], [{}]) == 0
    assert "\nalone\n" in capsys.readouterr().err


def test_a_stop_signal_goes_to_all_and_starts_no_more(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    jobs = [fake_job(tmp_path, seed, seconds=60) for seed in range(3)]

    def stop() -> None:
        while len(list(tmp_path.glob("records/voc_c4/*.json"))) < 2:
            time.sleep(0.02)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=stop).start()
    before = signal.getsignal(signal.SIGTERM)
    assert run_local(jobs, cpu_slots(2)) == 130
    assert signal.getsignal(signal.SIGTERM) is before
    assert [_record(job)["status"] for job in jobs[:2]] == ["interrupted"] * 2
    assert find_record(tmp_path, "voc_c4", jobs[2].id) is None
    assert "stopped; the same command goes on" in capsys.readouterr().err


def test_one_cell_that_is_stopped_does_not_stop_the_others(tmp_path: Path) -> None:
    jobs = [fake_job(tmp_path, 0, seconds=60), fake_job(tmp_path, 1), fake_job(tmp_path, 2)]

    def stop() -> None:
        while not jobs[0].log.exists() or "hello" not in jobs[0].log.read_text():
            time.sleep(0.02)
        for entry in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                words = entry.read_bytes().decode()
            except OSError:
                continue
            if str(jobs[0].path) in words:
                os.kill(int(entry.parent.name), signal.SIGTERM)

    threading.Thread(target=stop).start()
    assert run_local(jobs, [{}]) == 1
    assert [_record(job)["status"] for job in jobs] == ["interrupted", "finished", "finished"]


def test_a_cell_that_was_to_be_replaced_and_was_not(tmp_path: Path) -> None:
    """--rerun of a finished cell, killed before it began: the old numbers are no success."""
    job = fake_job(tmp_path, 0)
    content = json.loads(job.path.read_text())
    old = finished(content["record"])
    save_record(old, tmp_path)
    assert settle(job, 0) == "finished"
    job.path.write_text(json.dumps(content | {"replaces": old["finished_at"]}))
    assert settle(job, -9) == "interrupted"
    assert _record(job)["metrics"] == old["metrics"], "and they are kept"


def test_slots(monkeypatch: pytest.MonkeyPatch) -> None:
    assert gpu_slots(["0", "1", "2"], 1, None) == [{"CUDA_VISIBLE_DEVICES": n} for n in "012"]
    assert gpu_slots(["0", "1", "2"], 1, 2) == [{"CUDA_VISIBLE_DEVICES": n} for n in "01"]
    assert gpu_slots(["0", "1", "2"], 2, None) == [{"CUDA_VISIBLE_DEVICES": "0,1"}]
    with pytest.raises(UsageError, match="--gpus-per-cell 4: more than the 3 visible"):
        gpu_slots(["0", "1", "2"], 4, None)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    assert cpu_slots(None) == cpu_slots(1) == [{}]
    assert cpu_slots(4) == [{"OMP_NUM_THREADS": "2"}] * 4
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert cpu_slots(2) == [{"OMP_NUM_THREADS": "1"}] * 2
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3, GPU-abc")
    assert visible_gpus() == ["3", "GPU-abc"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert visible_gpus() == []


@pytest.mark.parametrize(
    ("told", "status", "outcome"),
    [
        (TransferError("iteration 3: out of GPU memory"), "failed", "refused"),
        (KeyError("a bug"), "failed", "failed"),
        (DiskError("/x: no space"), "interrupted", "interrupted"),
        (Interrupted("signal SIGTERM"), "interrupted", "interrupted"),
        (RuntimeError("Connection closed by peer"), "interrupted", "interrupted"),  # says nothing: -9 does
    ],
)
def test_what_a_neighbour_told_is_what_the_record_says(
    told: Exception, status: str, outcome: str, tmp_path: Path
) -> None:
    """Process 0 of a team was killed while it waited for process 1, which had told why it ended."""
    job = fake_job(tmp_path, 0)
    save_record(json.loads(job.path.read_text())["record"], tmp_path)
    tell(told, job.path.with_name(ERRORS), 1)
    assert settle(job, -9) == outcome
    record = find_record(tmp_path, job.suite, job.id)
    assert record is not None
    assert record["status"] == status
    if "Connection" not in str(told):
        assert str(told) in str(record["error"])
