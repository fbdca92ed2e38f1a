"""Leaks through batch statistics: two networks of which the answer is known, and the command."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from pretrain import cli, leak
from pretrain.methods.moco import MoCo
from tests.pretrain.helpers import write_images
from tests.pretrain.tiny import register_miniature

N, GROUPS, K = 16, 4, 64


class Alone(nn.Module):
    """Looks at each image by itself."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(12, 8)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(x.flatten(1))


class Company(Alone):
    """Looks at nothing but the mean of the image's group: what batch statistics give away."""

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:  # as BatchNorm, which then has no groups
            return super().forward(x)
        means = [part.mean(0, keepdim=True).expand_as(part) for part in x.chunk(GROUPS)]
        return super().forward(torch.cat(means))


def accuracy(encoder: type[nn.Module], shuffle: bool, noise: float = 0.0) -> float:
    torch.manual_seed(0)
    model = MoCo(encoder, 8, K, m=1.0, shuffle=shuffle).eval()
    images = [torch.randn(N, 3, 2, 2) for _ in range(20)]
    pairs = [(x, x + noise * torch.randn_like(x)) for x in images]
    return leak.pretext_accuracies([model], pairs, K // N)[0]


def test_the_two_accuracies_differ_by_what_the_group_gives_away() -> None:
    assert accuracy(Company, shuffle=False) == 100
    assert accuracy(Company, shuffle=True) < 40  # chance: the key fell into the group of its query again
    assert accuracy(Alone, shuffle=False, noise=0.5) == accuracy(Alone, shuffle=True, noise=0.5)
    assert 50 < accuracy(Alone, shuffle=True, noise=0.5) < 100


def test_the_old_queue_does_not_count() -> None:
    """It is full of the queries themselves; with them the positive would never be nearest."""
    torch.manual_seed(0)
    model = MoCo(Alone, 8, N, m=1.0, shuffle=False)
    first, second, third = torch.randn(3, N, 3, 2, 2)
    with torch.no_grad():
        model.queue.copy_(nn.functional.normalize(model.encoder_q(second), dim=1).T)
    pair = (second, second + 0.1)
    assert leak.pretext_accuracies([model], [pair], 0) == [0]
    counted = [(first, third), pair]  # of which the first is not
    assert leak.pretext_accuracies([model], counted, 1)[0] > 90


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    register_miniature()
    return write_images(tmp_path_factory.mktemp("leak"), 24)


def checkpoint(data: Path, output: Path, *more: str) -> Path:
    options = "--arch resnet_miniature --batch-size 8 --moco-k 16 --image-size 32 --max-iters 2 --device cpu"
    arguments = ["--data", str(data), "--output", str(output), *options.split(), *more]
    assert cli.main(arguments) == 0
    return output / "checkpoint_last.pth.tar"


def command(data: Path, path: Path, *more: str) -> int:
    arguments = ["--data", str(data), "--pretrained", str(path), "--images", "20", "--device", "cpu"]
    return leak.main([*arguments, *more])


def test_command(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Twice the same numbers; the checkpoint is left as it is."""
    path = checkpoint(data, tmp_path / "run", "--bn-groups", "4", "--mlp")
    before = path.read_bytes()
    for name in "ab":
        assert command(data, path, "--output", str(tmp_path / name)) == 0
    assert "with keys shuffled" in capsys.readouterr().out
    a, b = (json.loads((tmp_path / name).read_text()) for name in "ab")
    assert a == b
    assert a.keys() == {"own_groups", "shuffled"}
    assert all(0 <= value <= 100 for value in a.values())
    assert path.read_bytes() == before


def test_which_accuracy_is_which(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, result = checkpoint(data, tmp_path / "run"), tmp_path / "result.json"
    monkeypatch.setattr(leak, "pretext_accuracies", lambda models, *_: [100.0 * m.shuffle for m in models])
    assert command(data, path, "--output", str(result)) == 0
    assert json.loads(result.read_text()) == {"own_groups": 0.0, "shuffled": 100.0}


def test_the_model_is_that_of_the_training_and_stands_still(data: Path, tmp_path: Path) -> None:
    path = checkpoint(data, tmp_path, "--bn-groups", "4", "--moco-t", "0.3", "--moco-m", "0.5")
    contents = torch.load(path, weights_only=True)
    model = leak.frozen_model(contents, shuffle=True)
    before = {name: tensor.clone() for name, tensor in model.encoder_k.named_parameters()}
    assert (model.T, model.K, model.shuffle) == (0.3, 16, True)
    norms = [m for m in model.modules() if isinstance(m, nn.BatchNorm2d)]
    assert {getattr(norm, "groups", 1) for norm in norms} == {4}
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, contents["state_dict"]["module." + name])
    images = torch.randn(8, 3, 32, 32)
    leak.pretext_accuracies([model], [(images, images)], 0)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.encoder_k.named_parameters())


def test_bad_input(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bank = checkpoint(data, tmp_path / "bank", "--mechanism", "memory_bank")
    assert command(data, bank) == 2
    assert "expected a checkpoint of --mechanism queue, found memory_bank" in capsys.readouterr().err
    good = checkpoint(data, tmp_path / "good")
    few = write_images(tmp_path / "few", 4)
    assert command(few, good) == 2
    assert "4 images do not fill the checkpoint's batch of 8" in capsys.readouterr().err
    assert command(data, good, "--output", str(good / "below a file" / "x.json")) == 2
    assert "cannot be written" in capsys.readouterr().err
    contents = torch.load(good, weights_only=True)
    torch.save({"state_dict": contents["state_dict"]}, tmp_path / "foreign.pth")
    assert command(data, tmp_path / "foreign.pth") == 2
    assert "found no record of its options" in capsys.readouterr().err
