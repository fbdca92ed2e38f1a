"""The Slurm launcher: options, jobs found again, and cells on submitit's local executor and a real Slurm."""

from __future__ import annotations

import argparse
import json
import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from benchmarks.arguments import parser
from benchmarks.errors import UsageError
from benchmarks.launch import child
from benchmarks.launch.slurm import run_slurm, watch
from benchmarks.launch.slurm_options import Options, sbatch_parameters
from benchmarks.launch.slurm_queue import add_processes, in_queue, new_batch
from benchmarks.launch.slurm_time import minutes
from results.store import find_record, save_record
from tests.benchmarks.command_line import miniature
from tests.benchmarks.fake_cell import fake_job
from tests.benchmarks.fake_process import finished
from tests.benchmarks.grid import Grid, check, kill_twice, wait_for
from tests.benchmarks.one_node_slurm import one_node_slurm, why_not

pytest.importorskip("submitit", reason="submitit is not installed (pip install -e '.[slurm]')")
LIMITS = {"90": 90, "2:30": 3, "12:00:00": 720, "1-0": 1440, "1-12": 2160, "2-1:30": 2970, "0-0:05:01": 6}


@pytest.mark.parametrize(("text", "expected"), LIMITS.items())
def test_time_limits(text: str, expected: int) -> None:
    assert minutes(text) == expected


@pytest.mark.parametrize("text", ["", "soon", "1:2:3:4", "-5", "0", "1-"])
def test_time_limits_that_are_none(text: str) -> None:
    with pytest.raises(UsageError, match="--time"):
        minutes(text)


def _args(*words: str) -> argparse.Namespace:
    return parser().parse_args(["--suite", "a", "--init", "b", "--launcher", "slurm", *words])


def test_options_become_those_ofsbatch_parameters() -> None:
    words = ["--partition", "gpu", "--account", "me", "--time", "2-0", "--gpus-per-cell", "8", "--jobs", "4"]
    words += ["--cpus-per-cell", "32", "--sbatch", "mem=64G", "constraint=a100"]
    asked = sbatch_parameters(Options.of(_args(*words)), "name")
    wanted = {
        **{"partition": "gpu", "account": "me", "time": 2880, "gpus_per_node": 8, "cpus_per_task": 32},
        **{"array_parallelism": 4, "signal_delay_s": 120, "job_name": "name"},
    }
    assert asked | wanted == asked
    assert asked["additional_parameters"] == {"requeue": True, "mem": "64G", "constraint": "a100"}
    plain = sbatch_parameters(Options.of(_args("--device", "cpu", "--time", "1")), "name")
    assert not {"gpus_per_node", "partition", "account", "cpus_per_task"} & set(plain)
    assert plain["signal_delay_s"] == 20, "a job of a minute is warned within it"
    with pytest.raises(UsageError, match="--sbatch --mem: expected KEY=VALUE"):
        Options.of(argparse.Namespace(**vars(_args()) | {"sbatch": ["--mem=3"]}))


def _program(folder: Path, name: str, script: str) -> None:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


@pytest.mark.parametrize(("needed", "before", "after"), [
    (["/a checkout/of $HOME"], "", "/a checkout/of $HOME"),
    (["/checkout"], "/theirs", "/checkout:/theirs"),
    ([], "/theirs", "/theirs"),  # an installed copy is found without us
])  # fmt: skip
def test_a_job_finds_our_packages(
    needed: list[str], before: str, after: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lines that sbatch's script begins with, in a real shell."""
    monkeypatch.setattr(child, "own_path", lambda: needed)
    script = "\n".join([*sbatch_parameters(Options(), "name")["setup"], 'printf %s "$PYTHONPATH"'])
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": before}
    assert subprocess.check_output(["bash", "-c", script], env=environment, text=True) == after


def test_jobs_are_found_again_by_the_name_of_their_batch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    new_batch(tmp_path, "moco-transfer-1", ["a", "b", "c"])
    new_batch(tmp_path, "moco-transfer-2", ["d"])
    lines = [
        "moco-transfer-1|0|RUNNING",
        "moco-transfer-1|2|PENDING",
        "moco-transfer-2|N/A|COMPLETING",
        "x|1|RUNNING",
    ]
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    _program(tmp_path, "squeue", "\n".join(f"echo '{line}'" for line in lines))
    assert in_queue(tmp_path, "slurm") == {"a": "RUNNING", "c": "PENDING", "d": "COMPLETING"}
    _program(tmp_path, "squeue", "exit 1")
    assert in_queue(tmp_path, "slurm") is None


def test_processes_are_the_queue_without_a_slurm(tmp_path: Path) -> None:
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    add_processes(new_batch(tmp_path, "moco-transfer-1", ["a"]), [child.pid])
    new_batch(tmp_path, "moco-transfer-2", ["b"])
    assert in_queue(tmp_path, "local") == {"a": "RUNNING"}
    child.kill()
    time.sleep(0.5)
    assert in_queue(tmp_path, "local") == {}, "a zombie is not running"


def test_watching_believes_records_not_the_queue(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A job between two states, a controller that does not answer, and a job that ended without a word."""
    monkeypatch.setattr("benchmarks.launch.slurm.POLL_S", (0.01, 0.02))
    jobs = [fake_job(tmp_path, seed) for seed in range(3)]
    records = [json.loads(job.path.read_text())["record"] for job in jobs]
    a, b, c = (str(job.path) for job in jobs)
    save_record(records[1], tmp_path)
    looks = [{a: "PENDING", b: "RUNNING"}, {b: "RUNNING"}, None, {a: "RUNNING"}, {a: "RUNNING"}, {}, {}, {}]
    save_record(finished(records[2]), tmp_path)

    def look() -> dict[str, str] | None:
        if len(looks) == 3:
            save_record(finished(records[0]), tmp_path)
        return looks.pop(0)

    assert watch(jobs, look) == 1
    outcomes = [find_record(tmp_path, "voc_c4", job.id) for job in jobs]
    assert [record and record["status"] for record in outcomes] == ["finished", "interrupted", "finished"]
    assert outcomes[1] is not None
    assert "its job ended without a word" in outcomes[1]["error"]
    printed = capsys.readouterr().err
    assert "0 of 3 cells done, 1 pending, 1 running" in printed
    assert "squeue does not answer; looking again" in printed


def test_without_a_slurm_one_line_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UsageError, match="no sbatch here"):
        run_slurm([], Options(), tmp_path)
    _program(tmp_path, "sbatch", "true")
    _program(tmp_path, "squeue", "exit 1")
    with pytest.raises(UsageError, match="squeue does not answer"):
        run_slurm([], Options(), tmp_path)


def test_what_sbatch_refuses_is_said_and_forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    _program(tmp_path, "squeue", "true")
    _program(tmp_path, "srun", "true")
    _program(tmp_path, "sbatch", "echo 'sbatch: error: invalid partition specified: gpu' >&2; exit 1")
    job = fake_job(tmp_path / "runs", 0)
    with pytest.raises(UsageError, match="not submitted: .*invalid partition specified: gpu"):
        run_slurm([job], Options(partition="gpu"), tmp_path / "runs")
    assert not list((tmp_path / "runs" / "slurm" / "batches").glob("*"))


def _grid(output: Path, devkit: Path, inits: list[str], *more: str) -> Grid:
    return Grid(output, [*miniature(*inits, data_root=devkit), *more])


@pytest.mark.slow
def test_a_preempted_job_saves_is_queued_again_and_goes_on(devkit: Path, tmp_path: Path) -> None:
    """On submitit's local executor; its parent is killed before the signal comes, and started again after."""
    grid = _grid(tmp_path, devkit, ["random"], "--launcher", "slurm", "--cluster", "local")
    period = grid.words.index("SOLVER.CHECKPOINT_PERIOD") + 1
    grid.words[period] = "1000"  # only the signal can have saved
    parent = grid.start()
    wait_for(grid.training, parent)
    process = grid.training()
    assert process is not None, grid.said()
    parent.kill()
    parent.wait()
    stat = Path(f"/proc/{process}/stat").read_text()
    os.kill(int(stat.rsplit(")", 1)[1].split()[1]), signal.SIGUSR2)  # to the cell's parent, the job
    parent = grid.start()
    assert parent.wait(timeout=600) == 0, grid.said()
    assert "queued or running already" in grid.said()
    assert [entry["status"] for entry in grid.journal()] == ["running", "interrupted", "running", "finished"]
    (log,) = tmp_path.glob("slurm/logs/*/*.err")
    assert "SIGUSR2" in log.read_text()


@pytest.mark.slow
def test_a_real_slurm(
    devkit: Path, narrow_backbone: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A grid killed twice, on a Slurm of one node."""
    reason = why_not()
    if reason:
        pytest.skip(reason)
    with one_node_slurm(tmp_path / "cluster") as environment:
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        inits = ["random", f"moco={narrow_backbone}"]
        whole = _grid(tmp_path / "whole", devkit, inits, "--trials", "2", "--jobs", "2")
        assert whole.finish() == 0, whole.said()
        killed = _grid(tmp_path / "killed", devkit, inits, "--trials", "2", "--launcher", "slurm")
        kill_twice(killed)
        check(killed, whole, 4)
