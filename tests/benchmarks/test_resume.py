"""A run killed at any moment continues with the same command, and nothing can tell afterwards."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import time
from pathlib import Path

import pytest
import torch

from tests.benchmarks.command_line import QUICK_KEYS, miniature
from tests.conftest import Run
from tests.forks import start_benchmark

KILLS = 4


def _arguments(devkit: Path, output: Path) -> list[str]:
    return [*miniature("random", data_root=devkit, output=output), *QUICK_KEYS]


def _outcome(output: Path) -> tuple[dict[str, torch.Tensor], object, list[str]]:
    """Weights, metrics and log of the one cell; durations, which may differ, left out."""
    (record,) = [json.loads(p.read_text()) for p in output.glob("records/voc_c4/*.json")]
    (model,) = output.glob("cells/voc_c4/*/model_final.pth")
    assert record["status"] == "finished"
    log = [json.loads(line) for line in model.with_name("log.jsonl").read_text().splitlines()]
    losses = [json.dumps({k: v for k, v in entry.items() if k != "time_s"}) for entry in log]
    return torch.load(model, weights_only=True)["model"], record["metrics"], losses


def _start(arguments: list[str]) -> subprocess.Popen[str]:
    pipes = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
    return start_benchmark(arguments, start_new_session=True, **pipes)


def _trains(output: Path) -> bool:
    """Whether the first iteration is over."""
    return any(path.stat().st_size for path in output.glob("cells/voc_c4/*/log.jsonl"))


@pytest.fixture(scope="module")
def whole(
    devkit: Path, tmp_path_factory: pytest.TempPathFactory, real_benchmark: Run, benchmark: Run
) -> tuple[Path, float]:
    """The uninterrupted run of a real process, and how long a fork takes, which ends with the same bits."""
    output, other = tmp_path_factory.mktemp("whole"), tmp_path_factory.mktemp("fork")
    done = real_benchmark(*_arguments(devkit, output))
    assert done.returncode == 0, done.stderr
    began = time.monotonic()
    done = benchmark(*_arguments(devkit, other))
    assert done.returncode == 0, done.stderr
    duration = time.monotonic() - began
    _same(output, other)
    return output, duration


def _same(one: Path, other: Path) -> None:
    weights, metrics, log = _outcome(one)
    others, other_metrics, other_log = _outcome(other)
    assert metrics == other_metrics
    assert log == other_log
    assert set(weights) == set(others)
    different = [name for name in weights if not torch.equal(weights[name], others[name])]
    assert not different


@pytest.mark.slow
@pytest.mark.parametrize("number", range(KILLS))
def test_sigkill_at_a_random_moment_changes_no_bit(
    number: int, devkit: Path, whole: tuple[Path, float], benchmark: Run, tmp_path: Path
) -> None:
    path, duration = whole
    child = _start(_arguments(devkit, tmp_path))
    # one kill in each quarter of the run: start-up, training, statistics, evaluation
    time.sleep(duration * (number + random.Random(number).random()) / KILLS)
    os.killpg(child.pid, signal.SIGKILL)
    child.wait()
    done = benchmark(*_arguments(devkit, tmp_path))
    assert done.returncode == 0, done.stderr
    _same(path, tmp_path)


@pytest.mark.slow
def test_a_cell_whose_parent_is_killed_makes_room_for_its_successor(
    devkit: Path, whole: tuple[Path, float], benchmark: Run, tmp_path: Path
) -> None:
    """SIGKILL to the parent alone, at once followed by the same command: no two processes run one cell."""
    child = _start(_arguments(devkit, tmp_path))
    deadline = time.monotonic() + 120
    while not _trains(tmp_path) and time.monotonic() < deadline:
        time.sleep(0.02)
    child.kill()
    child.wait()
    done = benchmark(*_arguments(devkit, tmp_path))
    assert done.returncode == 0, done.stderr
    _same(whole[0], tmp_path)


@pytest.mark.slow
def test_sigterm_before_training_leaves_an_interrupted_cell(devkit: Path, tmp_path: Path) -> None:
    child = _start(_arguments(devkit, tmp_path))
    deadline = time.monotonic() + 120
    while not list(tmp_path.glob("cells/voc_c4/*/lock")) and time.monotonic() < deadline:
        time.sleep(0.02)
    child.send_signal(signal.SIGTERM)
    assert child.wait(timeout=120) == 130
    (record,) = [json.loads(p.read_text()) for p in tmp_path.glob("records/voc_c4/*.json")]
    assert record["status"] == "interrupted"


@pytest.mark.slow
def test_sigterm_saves_and_the_record_says_interrupted(
    devkit: Path, whole: tuple[Path, float], benchmark: Run, tmp_path: Path
) -> None:
    arguments = _arguments(devkit, tmp_path)
    arguments[arguments.index("SOLVER.CHECKPOINT_PERIOD") + 1] = "1000"  # only the signal can have saved
    child = _start(arguments)
    deadline = time.monotonic() + 120
    while not _trains(tmp_path) and time.monotonic() < deadline:
        time.sleep(0.02)
    child.send_signal(signal.SIGTERM)
    _, errors = child.communicate(timeout=120)
    if child.returncode == 0:
        pytest.skip("the run was over before the signal came")
    assert child.returncode == 130, errors
    assert "state saved" in errors
    (record,) = [json.loads(p.read_text()) for p in tmp_path.glob("records/voc_c4/*.json")]
    assert record["status"] == "interrupted"
    assert list(tmp_path.glob("cells/voc_c4/*/iter_*.pth"))
    assert benchmark(*arguments).returncode == 0
    _same(whole[0], tmp_path)


def test_a_second_call_runs_nothing(devkit: Path, whole: tuple[Path, float], benchmark: Run) -> None:
    path, _ = whole
    (model,) = path.glob("cells/voc_c4/*/model_final.pth")
    before = model.stat().st_mtime_ns
    done = benchmark(*_arguments(devkit, path))
    assert done.returncode == 0
    assert "plan: 1 cell: 1 finished, 0 to do" in done.stderr
    assert model.stat().st_mtime_ns == before
