"""Two gloo processes under torchrun: the whole command, equal to one process with two BatchNorm groups."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
import torch

from pretrain import cli
from tests.pretrain.helpers import module, overriding
from tests.pretrain.tiny import register_miniature

OPTIONS = (
    "--arch resnet_miniature --batch-size 8 --moco-k 32 --image-size 32 -p 1 --bn-groups 2"
    " --precision fp32 --device cpu --aug-plus --lr 0.01"
)


def two_processes(arguments: list[str]) -> subprocess.CompletedProcess[str]:
    torchrun = ("torch.distributed.run", "--standalone", "--nproc-per-node=2")
    return module(*torchrun, "-m", "tests.pretrain.miniature_main", *arguments)


def test_torchrun_shows_the_cause(image_folder: Path, tmp_path: Path) -> None:
    """A loss that is no number is told by one process, and is the root cause in torchrun's report."""
    more = ["--data", str(image_folder), "--output", str(tmp_path / "out"), "--max-iters", "50"]
    done = two_processes(overriding([*OPTIONS.split(), *more], ["--lr", "1e38"]))
    assert done.returncode == 1
    told = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(told) == 1, done.stderr
    assert "of 2: the loss became " in told[0]
    assert "the loss became" in done.stderr.split("Root Cause")[1]
    assert "Connection closed" not in done.stderr


def losses(output: Path) -> list[float]:
    return [json.loads(line)["loss"] for line in (output / "log.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("mechanism", ["queue", "end_to_end"])
def test_two_processes_are_two_groups(image_folder: Path, tmp_path: Path, mechanism: str) -> None:
    """Shuffle, gathers, data order and averaging, all at once; then one process goes on."""
    common = ["--data", str(image_folder), *OPTIONS.split(), "--mechanism", mechanism]
    done = two_processes([*common, "--output", str(tmp_path / "two"), "--max-iters", "6"])
    assert done.returncode == 0, done.stderr
    assert "distributed.nn.functional" not in done.stderr  # deprecated
    register_miniature()
    assert cli.main([*common, "--output", str(tmp_path / "one"), "--max-iters", "6"]) == 0
    assert losses(tmp_path / "two") == pytest.approx(losses(tmp_path / "one"), rel=1e-4)
    two, one = (
        torch.load(tmp_path / n / "checkpoint_last.pth.tar", weights_only=True) for n in ("two", "one")
    )
    for name, value in one["state_dict"].items():
        if "running" not in name:  # the first process keeps its own statistics, as published
            torch.testing.assert_close(two["state_dict"][name], value, rtol=1e-3, atol=1e-4, msg=name)
    assert cli.main([*common, "--output", str(tmp_path / "two"), "--max-iters", "8"]) == 0
    assert len(losses(tmp_path / "two")) == 8
