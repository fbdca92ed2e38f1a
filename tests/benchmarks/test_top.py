"""The live view: cells in every state, a queue, a pre-training, on a terminal and off it."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import select
import signal
import subprocess
import sys
import termios
import time
from pathlib import Path
from typing import Any

import pytest

from benchmarks import top
from benchmarks.launch.slurm_queue import add_processes, new_batch
from benchmarks.launch.standing import Grid
from results.store import save_record
from tests.conftest import ROOT
from tests.results.conftest import build_record


def plant(root: Path, status: str | None, trial: int, **more: Any) -> Path:
    """A cell with its job file, and with a record unless it waits; returns its folder."""
    record = build_record("moco", trial, status=status or "running")
    record |= {"recipe": {**record["recipe"], "SOLVER.MAX_ITER": 100}, **more}
    folder = root / "cells" / record["suite"] / f"moco-{record['id']}"
    folder.mkdir(parents=True)
    (folder / "job.json").write_text(json.dumps({"record": record}))
    if status:
        save_record(record, root)
    return folder


def log(folder: Path, *iterations: int) -> None:
    lines = [{"iteration": i, "total_loss": 1 + i / 100, "lr": 0.1, "time_s": 2.0 * i} for i in iterations]
    (folder / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


def printed(root: Path, capsys: pytest.CaptureFixture[str]) -> list[str]:
    assert top.main([str(root), "--once"]) == 0
    return [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]


def test_each_state_has_its_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs = plant(tmp_path, "running", 0)
    log(runs, 0, 20, 39)
    plant(tmp_path, "failed", 1, error="out of memory; lower it\nTraceback")
    plant(tmp_path, "finished", 2)
    plant(tmp_path, None, 3)
    with (runs / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert printed(tmp_path, capsys) == [
            "4 cells: 1 running, 1 failed, 1 finished, 1 waiting",
            "running voc_c4, moco, seed 0 40/100 (40 %) loss 1.390 eta 0:02:00",
            "failed voc_c4, moco, seed 1 out of memory; lower it",
            "finished voc_c4, moco, seed 2 bbox/AP 55.0",
            "waiting voc_c4, moco, seed 3",
        ]
    assert "stopped voc_c4, moco, seed 0 40/100 (40 %) loss 1.390 no process has it" in "".join(
        printed(tmp_path, capsys)
    ), "its process is gone, whatever the record says"


def test_what_waits_in_a_queue_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    jobs = [plant(tmp_path, None, trial) / "job.json" for trial in (0, 1)]
    new_batch(tmp_path / "slurm", "moco-transfer-a", [str(job) for job in jobs])
    squeue = tmp_path / "bin" / "squeue"
    squeue.parent.mkdir()
    squeue.write_text("#!/bin/sh\necho 'moco-transfer-a|1|PENDING'\n")
    squeue.chmod(0o755)
    monkeypatch.setenv("PATH", str(squeue.parent), prepend=os.pathsep)
    assert sorted((cell.title[-1], cell.says) for cell in Grid(tmp_path).look()) == [
        ("0", ""),
        ("1", "Slurm: PENDING"),
    ]


def test_a_cell_in_a_local_queue_runs_without_its_lock(tmp_path: Path) -> None:
    folder = plant(tmp_path, "running", 0)  # of another machine: its lock is not seen here
    batch = new_batch(tmp_path / "slurm", "moco-transfer-a", [str(folder / "job.json")])
    add_processes(batch, [os.getpid()])
    assert [cell.state for cell in Grid(tmp_path).look()] == ["running"]


def test_a_second_look_sees_what_changed(tmp_path: Path) -> None:
    plant(tmp_path, "failed", 0, error="no")
    grid = Grid(tmp_path)
    assert [cell.state for cell in grid.look()] == ["failed"]
    save_record(build_record("moco", 0), tmp_path)
    assert [cell.state for cell in grid.look()] == ["finished"]


def test_a_pre_training(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "log.jsonl"
    file.write_text(
        '{"iteration": 96, "loss": 4.5, "images_per_s": 19.7}\n{"iteration": 96, "knn": 80}\n{"ite'
    )
    assert printed(tmp_path, capsys)[1] == f"running pre-training {tmp_path.name} 96 loss 4.500 20 images/s"
    os.utime(file, (0, time.time() - 7200))
    assert "finished or stopped: no line in its log for 2:00:0" in printed(tmp_path, capsys)[1]


def test_a_folder_of_nothing_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert top.main([str(tmp_path)]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def _heeds_ctrl_c() -> None:
    """Undoes what nohup and a shell's & hand down: they ignore the signal, a terminal does not."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.mark.parametrize("end", [b"q", signal.SIGINT])
def test_a_terminal_is_left_as_it_was(end: bytes | signal.Signals, tmp_path: Path) -> None:
    plant(tmp_path, "finished", 0)
    master, slave = pty.openpty()
    before = termios.tcgetattr(slave)
    words = [sys.executable, "-m", "benchmarks.top", str(tmp_path)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TERM": "xterm"}
    view = subprocess.Popen(
        words, stdin=slave, stdout=slave, stderr=slave, env=environment, preexec_fn=_heeds_ctrl_c
    )
    seen = b""
    deadline = time.monotonic() + 60
    while b"bbox/AP" not in seen and time.monotonic() < deadline:
        if select.select([master], [], [], 1)[0]:
            seen += os.read(master, 65536)
    assert b"1 cell: 1 finished" in seen
    os.write(master, end) if isinstance(end, bytes) else view.send_signal(end)
    assert view.wait(60) == 0
    while select.select([master], [], [], 0)[0]:
        seen += os.read(master, 65536)
    assert termios.tcgetattr(slave) == before
    assert b"\x1b[?1049l" in seen, "the screen before comes back"
    assert b"Traceback" not in seen
    os.close(master)
    os.close(slave)


def test_a_quick_look_is_told_from_a_whole_cell(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    why = {"comparable": False, "not_comparable_because": ["truncated"]}
    cut = {"images": 2, "of": 9, "rule": "r"}
    told = {"model": "x.pth", "sha256": "0", "trained_by": ""}
    record = build_record("moco", 3, limit=2, evaluates="0") | why | {"truncated": cut, "evaluated": told}
    save_record(record, tmp_path)
    assert "voc_c4, moco, seed 3, 2 test images, evaluated only" in "".join(printed(tmp_path, capsys))
