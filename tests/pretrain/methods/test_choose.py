"""A method is one file and one row: a toy is added so, and goes through all that the others go through."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest
import torch

from pretrain import cli, features
from pretrain.methods.base import Method
from pretrain.methods.choose import METHODS, Row, method_class, option_classes
from tests.pretrain.helpers import ROOT
from tests.pretrain.methods.toy import ToyOptions
from tests.pretrain.tiny import register_miniature

OPTIONS = "--mechanism toy --arch resnet_miniature --batch-size 8 --image-size 32 --device cpu -p 1 --lr 0.1"


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch) -> None:
    register_miniature()
    monkeypatch.setitem(METHODS, "toy", Row(ToyOptions, "tests.pretrain.methods.toy:Toy"))


def train(data: Path, output: Path, iterations: int, *more: str) -> int:
    arguments = ["--data", str(data), "--output", str(output), "--max-iters", str(iterations)]
    return cli.main([*arguments, *OPTIONS.split(), *more])


def read(output: Path) -> dict:
    return torch.load(output / "checkpoint_last.pth.tar", weights_only=True)


def test_a_method_is_a_file_and_a_row(
    toy: None, image_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two steps of the real loop: options, views, figures, names, what follows a step, and resuming."""
    assert train(image_folder, tmp_path / "a", 2, "--toy-dim", "5") == 0
    found = read(tmp_path / "a")
    tensors = found["state_dict"]
    assert {name.split(".")[1] for name in tensors} == {"online", "target", "calls", "progress"}
    assert tensors["module.online.fc.weight"].shape == (5, 8)
    assert tensors["module.calls"] == 2
    assert tensors["module.progress"].tolist() == [1, 2]
    assert found["identity"]["toy_dim"] == 5
    assert found["identity"]["augmentation"] == "v1+v2"
    assert found["identity"]["bn_groups"] == 1  # it does not ask for a split batch
    assert not [name for name in found["identity"] if "moco" in name or "shuffle" in name]
    lines = [json.loads(line) for line in (tmp_path / "a" / "log.jsonl").read_text().splitlines()]
    assert [list(line) for line in lines] == [["iteration", "loss", "spread", "lr", "images_per_s"]] * 2
    assert list(found["totals"]) == ["loss", "spread", "steps"]

    for iterations in (1, 2):
        assert train(image_folder, tmp_path / "b", iterations, "--toy-dim", "5") == 0
    resumed = read(tmp_path / "b")["state_dict"]
    assert all(torch.equal(resumed[name], value) for name, value in tensors.items())
    capsys.readouterr()
    assert train(image_folder, tmp_path / "b", 3) == 2
    assert "was made with toy_dim = 5, now 4" in capsys.readouterr().err
    assert train(image_folder, tmp_path / "c", 3, "--toy-dim", "9") == 2
    assert "--toy-dim 9: expected at most the batch of 8" in capsys.readouterr().err


def test_its_encoder_is_evaluated_by_its_own_name(toy: None, image_folder: Path, tmp_path: Path) -> None:
    assert (
        train(image_folder, tmp_path, 2, "--knn-every", "1", "--knn-data", str(pair(image_folder, tmp_path)))
        == 0
    )
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [line["iteration"] for line in lines if "knn" in line] == [0]
    command = ["--data", str(image_folder), "--pretrained", str(tmp_path / "checkpoint_last.pth.tar")]
    for number, more in enumerate(([], ["--key-encoder"])):
        output = ["--output", str(tmp_path / f"{number}.npz"), "--image-size", "32", "--device", "cpu"]
        assert features.main([*command, *output, *more]) == 0
    assert (tmp_path / "0.npz").read_bytes() != (tmp_path / "1.npz").read_bytes()


def pair(images: Path, root: Path) -> Path:
    for part in ("train", "val"):
        (root / "data").mkdir(exist_ok=True)
        (root / "data" / part).symlink_to(images)
    return root / "data"


def test_the_options_of_all_methods_are_in_the_help(toy: None) -> None:
    """Each class of options once, in a group of its own; a name means the same to every method."""
    shown = cli.build_parser().format_help()
    assert "--toy-dim" in shown
    with_options = [kind for kind in option_classes() if fields(kind)]
    assert [shown.count(kind.title + ":") for kind in with_options] == [1] * len(with_options)


@pytest.mark.parametrize("name", list(METHODS))
def test_every_row_leads_to_a_method(name: str) -> None:
    kind = method_class(name)
    assert issubclass(kind, Method)
    for part in ("build", "views", "forward"):
        assert getattr(kind, part) is not getattr(Method, part), part


def test_no_row_imports_torch_before_a_run() -> None:
    """The command line is quick because only the chosen method's file imports it."""
    program = (
        "import sys; from pretrain.cli import build_parser; build_parser(); print('torch' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout == "False\n"
