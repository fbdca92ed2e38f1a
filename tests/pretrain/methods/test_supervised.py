"""Supervised training on the images of pre-training: loss, labels, refusals, and what takes its file."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from converters.convert import open_checkpoint
from pretrain import cli, features, knn
from pretrain.images.sources import find_images
from pretrain.methods.base import Step
from pretrain.methods.options import SupervisedOptions
from pretrain.methods.supervised import Supervised
from tests.pretrain.helpers import write_images
from tests.pretrain.tiny import register_miniature, tiny_resnet

OPTIONS = "--mechanism supervised --batch-size 8 --image-size 32 --device cpu --precision fp32 -p 2"
LAST = "checkpoint_last.pth.tar"


def factory(dim: int):
    return lambda: tiny_resnet(dim)


def train(data: Path, output: Path, iterations: int, *more: str, arch: str = "resnet_miniature") -> int:
    register_miniature()
    words = ["--data", str(data), "--output", str(output), "--max-iters", str(iterations), "--arch", arch]
    return cli.main([*words, *OPTIONS.split(), *more])


def read(output: Path) -> dict:
    return torch.load(output / LAST, weights_only=True)


def test_loss_and_gradient_are_those_of_cross_entropy() -> None:
    """In double precision, against torch's own loss of the same network on the images' labels."""
    torch.manual_seed(0)
    labels = torch.tensor([2, 0, 1, 1, 0, 2, 2])
    model = Supervised(factory, labels, 3).double()
    index = torch.tensor([6, 0, 3, 4])
    images = torch.randn(4, 3, 32, 32, dtype=torch.float64)
    loss, logs = model([images], index, torch.Generator(), Step(0, 1))
    assert loss.dtype == torch.float64
    loss.backward()
    twin = tiny_resnet(3).double()
    twin.load_state_dict({n.removeprefix("supervised."): v for n, v in model.state_dict().items()})
    logits = twin(images)
    expected = F.cross_entropy(logits, torch.tensor([2, 2, 1, 0]))
    expected.backward()
    torch.testing.assert_close(loss, expected, rtol=1e-12, atol=0)
    for (name, mine), theirs in zip(model.named_parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(mine.grad, theirs.grad, rtol=1e-9, atol=1e-12, msg=name)
    right = (logits.argmax(1) == torch.tensor([2, 2, 1, 0])).double().mean() * 100
    assert logs["acc1"].item() == pytest.approx(right.item())
    assert model.figures == tuple(logs)


def test_half_precision_ends_before_the_loss() -> None:
    model = Supervised(factory, torch.tensor([0, 1]), 2)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss, _ = model([torch.randn(2, 3, 32, 32)], torch.arange(2), torch.Generator(), Step(0, 1))
    assert loss.dtype == torch.float32


def test_labels_of_folders_and_of_lists(image_folder: Path, tmp_path: Path) -> None:
    """The number of the class in sorted order, for every image in the order of the set."""
    lines = [f"{path.relative_to(image_folder)}\t{path.parent.name}" for path in image_folder.rglob("*.jpg")]
    (tmp_path / "list.txt").write_text("\n".join(lines))
    for name in {line.split("/")[0] for line in lines}:
        (tmp_path / name).symlink_to(image_folder / name)
    for data in (image_folder, tmp_path / "list.txt"):
        images = find_images(data)
        model = Supervised.build(SupervisedOptions(), lambda dim: factory(dim), images)
        expected = [int(image.name[1]) for image in images.images]  # c0/..., c1/...
        assert model.labels.tolist() == expected
        assert sorted(set(expected)) == [0, 1]
        assert model.supervised.fc.out_features == 2


@pytest.mark.parametrize(
    ("layout", "found"), [("flat", "found images without a class"), ("one", "found one class, c0")]
)
def test_unlabelled_images_are_refused_before_anything_is_made(
    layout: str,
    found: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("pretrain.run._method", lambda *_: pytest.fail("a network is built"))
    folder = write_images(tmp_path / "data", 8, classes=1)
    assert train(folder / "c0" if layout == "flat" else folder, tmp_path / "out", 2) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: --mechanism supervised needs labels of two or more classes; ")
    assert found in error
    assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_it_resumes_to_the_bit_and_keeps_no_labels(image_folder: Path, tmp_path: Path) -> None:
    assert train(image_folder, tmp_path / "a", 6) == 0
    for iterations in (3, 6):
        assert train(image_folder, tmp_path / "b", iterations) == 0
    a, b = read(tmp_path / "a"), read(tmp_path / "b")
    assert all(torch.equal(b["state_dict"][name], value) for name, value in a["state_dict"].items())
    assert {name.split(".")[1] for name in a["state_dict"]} == {"supervised"}
    assert a["state_dict"]["module.supervised.fc.weight"].shape == (2, 8)
    assert (a["identity"]["mechanism"], a["identity"]["augmentation"]) == ("supervised", "linear")
    assert a["identity"]["bn_groups"] == 1
    assert not [name for name in a["identity"] if "moco" in name or "shuffle" in name]
    logged = [json.loads(line) for line in (tmp_path / "a" / "log.jsonl").read_text().splitlines()]
    assert [list(line) for line in logged] == [["iteration", "loss", "acc1", "lr", "images_per_s"]] * 3


def test_it_learns_the_labels(tmp_path: Path) -> None:
    """Eight images of two classes: the loss falls far below that of a coin."""
    folder = write_images(tmp_path / "data", 8)
    assert train(folder, tmp_path / "out", 40, "--lr", "0.1") == 0
    logged = [json.loads(line) for line in (tmp_path / "out" / "log.jsonl").read_text().splitlines()]
    assert logged[-1]["loss"] < 0.35 < 0.6 < logged[0]["loss"]


def test_monitor_knn_features_and_converters_take_its_encoder(image_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    for part in ("train", "val"):
        (tmp_path / "data" / part).symlink_to(image_folder)
    output = tmp_path / "out"
    assert train(tmp_path / "data", output, 3, "--knn-every", "1", arch="resnet18w0.25x") == 0
    logged = [json.loads(line) for line in (output / "log.jsonl").read_text().splitlines()]
    measured = [line["knn"] for line in logged if "knn" in line]
    assert len(measured) == 2
    common = ["--pretrained", str(output / LAST), "--image-size", "32", "--device", "cpu"]
    result = ["--output", str(tmp_path / "knn.json")]
    assert knn.main(["--data", str(tmp_path / "data"), *common, *result]) == 0
    assert json.loads((tmp_path / "knn.json").read_text())["knn"] == measured[-1]
    archive = ["--data", str(image_folder), *common, "--output", str(tmp_path / "f.npz")]
    assert features.main(archive) == 0
    with np.load(tmp_path / "f.npz") as file:
        assert file["features"].shape == (24, 128)
    assert train(tmp_path / "data", tmp_path / "r50", 1, arch="resnet50w0.25x") == 0
    backbone = open_checkpoint(tmp_path / "r50" / LAST)
    assert (backbone.manifest["source"], backbone.manifest["encoder"]) == ("supervised", "single")
    stored = read(tmp_path / "r50")["state_dict"]["module.supervised.layer4.2.conv3.weight"]
    assert np.array_equal(backbone.weights["res5.2.conv3.weight"], stored)
