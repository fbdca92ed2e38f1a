"""An error of one process of many: told once, by itself, at once; and every process ends without help.

PRETRAIN_FAILURE_RUNS=10 is the full test, with two and with four processes; CI runs fewer.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import torch

from pretrain.errors import PretrainError, line_of
from pretrain.process.failure import is_echo
from tests.pretrain.helpers import module

RUNS = os.environ.get("PRETRAIN_FAILURE_RUNS", "2")
EXPECTED = {  # the words that the user must see, and the exit code of the process that failed
    "data": ("the cause", 2),
    "knn": ("the cause", 2),
    "saving": ("the cause", 2),
    "forward": ("IndexError: the cause", 1),
    "memory": ("out of memory (CUDA out of memory. Tried to allocate 2.00 GiB", 2),
    "loss": ("the loss became nan by iteration", 2),
    "killed": ("lost another one, which was killed", -9),
}


@pytest.mark.slow
@pytest.mark.parametrize("size", [2, 4])
def test_the_cause_is_told_once_and_all_end(image_folder: Path, tmp_path: Path, size: int) -> None:
    for part in ("train", "test"):
        (tmp_path / part).symlink_to(image_folder)
    (tmp_path / "runs").mkdir()
    done = module("tests.pretrain.failure_driver", tmp_path, tmp_path / "runs", RUNS, size, size)
    assert done.returncode == 0, done.stderr
    runs = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(runs) == int(RUNS)
    for run in runs:
        check(run, size)


def check(run: dict, size: int) -> None:
    words, code = EXPECTED[run["place"]]
    printed = run["printed"]
    told = [line for line in printed.splitlines() if line.startswith("error: ")]
    assert len(told) == 1, printed
    assert words in told[0]
    assert printed.count("Traceback") == (run["place"] == "forward")
    assert run["codes"].pop(run["victim"]) == code
    assert set(run["codes"]) == {1}  # -99 would be one that did not end by itself
    assert run["seconds"] < 30  # two or three on a free machine
    assert sum(run["files"]) == 1
    if run["place"] != "killed":
        assert f"process {run['victim']} of {size}: " in told[0]
        assert run["files"][run["victim"]]
    if run["place"] == "memory":
        assert "lower --batch-size" in told[0]


def test_what_is_an_echo() -> None:
    assert is_echo(torch.distributed.DistBackendError("NCCL error in ..."))
    assert is_echo(torch.distributed.DistNetworkError("lost"))
    assert is_echo(RuntimeError("[.../gloo/transport/tcp/pair.cc:547] Connection closed by peer [::1]:1"))
    assert not is_echo(PretrainError("Connection closed by peer"))
    assert not is_echo(RuntimeError("size mismatch"))
    assert not is_echo(torch.OutOfMemoryError("NCCL could not: CUDA out of memory"))


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB. GPU 0 If reserved but\nlong"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:124] . DefaultCPUAllocator: can't allocate memory"),
        RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
        MemoryError(),
    ],
)
def test_memory_that_is_short_is_one_line_of_advice(error: Exception) -> None:
    line = line_of(error, "lower --batch-size")
    assert line is not None
    assert line.startswith("out of memory (")
    assert line.endswith("; lower --batch-size")
    assert "\n" not in line
    assert line_of(RuntimeError("another"), "lower --batch-size") is None
