"""The weights of the demo: made from a checkpoint, taken by pre-training, and what the shipped file says."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
import torch

from benchmarks.demo_kit import make
from pretrain import cli
from pretrain.training.start import read_start
from tests.pretrain.helpers import write_images

FACTS = ["--command", "c", "--commit", "d", "--hardware", "h", "--images", "i", "--terms", "t"]


def test_a_checkpoint_becomes_weights_that_a_run_starts_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = write_images(tmp_path / "data", 8)
    fixed = ["--data", str(data), "--arch", "resnet18w0.25x", "--batch-size", "4", "--moco-k", "8", "--mlp"]
    fixed += ["--image-size", "32", "--device", "cpu", "-p", "1", "--max-iters", "1"]
    assert cli.main([*fixed, "--output", str(tmp_path / "run")]) == 0
    monkeypatch.setattr(make, "WEIGHTS", tmp_path / "weights.safetensors")
    checkpoint = tmp_path / "run" / "checkpoint_last.pth.tar"
    assert make.main([str(checkpoint), *FACTS]) == 0
    start = read_start(tmp_path / "weights.safetensors")
    stored = torch.load(checkpoint, weights_only=True)
    (encoder,) = start.encoders.values()
    assert start.arch == "resnet18w0.25x"
    for name, value in encoder.items():
        theirs = stored["state_dict"][f"module.encoder_q.{name}"]
        assert torch.equal(value, theirs.half() if theirs.is_floating_point() else theirs), name
    assert {"fc.0.weight", "fc.2.bias"} <= set(encoder)
    says = json.loads((tmp_path / "weights.json").read_text())
    assert says["sha256"] == start.sha256
    assert (says["command"], says["terms"], says["iterations"]) == ("c", "t", 1)
    assert says["options"] == stored["identity"]
    assert list(says["loss"]) == ["1"]
    again = ["--start-from", str(tmp_path / "weights.safetensors"), "--output", str(tmp_path / "again")]
    assert cli.main([*fixed, *again]) == 0


@pytest.mark.skipif(not make.WEIGHTS.exists(), reason="the weights of the demo are not in this checkout")
def test_the_shipped_file_is_what_its_json_says() -> None:
    says = json.loads(make.WEIGHTS.with_suffix(".json").read_text())
    assert says["sha256"] == hashlib.sha256(make.WEIGHTS.read_bytes()).hexdigest()
    start = read_start(make.WEIGHTS)
    assert start.arch == says["arch"]
    assert {"fc.0.weight", "fc.2.weight"} <= set(next(iter(start.encoders.values())))
    assert make.WEIGHTS.stat().st_size < 5e6
    for fact in ("command", "commit", "hardware", "images", "terms", "knn"):
        assert says[fact], fact
