"""Every method on a GPU: its first loss is that of the CPU, and equal commands leave equal bits there."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch.utils._pytree import tree_leaves

from pretrain.methods.choose import method_names, row_names
from tests.pretrain.helpers import module

pytestmark = pytest.mark.gpu
HIDING = ("mae", "ibot")  # which hide patches of a transformer


def run(method: str, data: Path, output: Path, device: str) -> list[float]:
    """The losses of two iterations."""
    arch, size = ("vit_tiny_depth4_patch16", 112) if method in HIDING else ("resnet18w0.25x", 64)
    options = f"--arch {arch} --image-size {size} --batch-size 8 --max-iters 2 -p 1 --seed 3 --precision fp32"
    options += " --warmup-epochs 0" if method in row_names() else ""
    options += " --prototypes 8" if method == "swav" else ""
    done = module(
        "pretrain", "--data", data, "--output", output, "--method", method, "--device", device,
        "--deterministic", "--augment-on", "host", *options.split(),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in (output / "log.jsonl").read_text().splitlines()]
    return [line["loss"] for line in lines]


def tensors(output: Path) -> list[torch.Tensor]:
    """All of the last checkpoint: weights, buffers, the optimizer's."""
    file = output / "checkpoint_00000002.pth.tar"
    loaded = torch.load(file, map_location="cpu", weights_only=True)
    return [leaf for leaf in tree_leaves(loaded) if isinstance(leaf, torch.Tensor)]


@pytest.mark.parametrize("method", method_names())
def test_a_method_on_the_gpu(method: str, image_folder: Path, tmp_path: Path, cuda: torch.device) -> None:
    here = run(method, image_folder, tmp_path / "cpu", "cpu")
    there = run(method, image_folder, tmp_path / "one", str(cuda))
    assert there[0] == pytest.approx(here[0], rel=5e-3)
    assert run(method, image_folder, tmp_path / "two", str(cuda)) == there
    one, two = tensors(tmp_path / "one"), tensors(tmp_path / "two")
    assert len(one) > 50
    assert all(torch.equal(a, b) for a, b in zip(one, two, strict=True))
