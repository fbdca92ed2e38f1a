"""kNN against loops, as a monitor and as a command; feature export."""

from __future__ import annotations

import json
import math
import os
import signal
from pathlib import Path

import numpy as np
import pytest
import torch

from pretrain import cli, features, knn
from pretrain.errors import PretrainError
from pretrain.images.augment_device import normalise
from pretrain.images.decode import decode
from pretrain.images.labelled import labelled_pair
from pretrain.monitors import knn as knn_monitor
from pretrain.monitors.features import centre_crop, extract
from pretrain.monitors.knn import KnnEvaluation, knn_accuracy
from pretrain.networks.encoders import pooled_features
from pretrain.training.load_encoder import load_encoder
from tests.pretrain.helpers import write_images
from tests.pretrain.tiny import register_miniature
from transfer.probes.protocols import neighbours

OPTIONS = "--arch resnet_miniature --batch-size 8 --moco-k 32 --image-size 32 --device cpu"


def knn_by_loops(train: list, labels: list, test: list, truth: list, k: int, T: float) -> float:
    right = 0
    for x, y in zip(test, truth, strict=True):
        cosine = [
            sum(a * b for a, b in zip(x, z, strict=True)) / math.hypot(*x) / math.hypot(*z) for z in train
        ]  # fmt: skip
        votes: dict[int, float] = {}
        for i in sorted(range(len(train)), key=lambda i: -cosine[i])[:k]:
            votes[labels[i]] = votes.get(labels[i], 0.0) + math.exp(cosine[i] / T)
        right += max(votes, key=votes.__getitem__) == y
    return 100 * right / len(test)


def test_knn_against_loops() -> None:
    torch.manual_seed(0)
    labels, truth = torch.randint(3, (40,)), torch.randint(3, (30,))
    train = torch.randn(40, 5) + torch.nn.functional.one_hot(labels, 5)
    test = torch.randn(30, 5) + torch.nn.functional.one_hot(truth, 5)
    for k in (1, 7, 100):
        expected = knn_by_loops(train.tolist(), labels.tolist(), test.tolist(), truth.tolist(), k, 0.07)
        assert knn_accuracy(train, labels, test, truth, k) == pytest.approx(expected)
    with pytest.raises(PretrainError, match="test features: 1 of 30 rows are not finite, the first is row 4"):
        knn_accuracy(train, labels, test.index_fill(0, torch.tensor([4]), torch.nan), truth, 7)


@pytest.mark.parametrize(
    ("smallest", "k"),
    [(1, 1), (12, 12), (39, 39), (150, 77), (500, 141), (999, 200), (1000, 200), (1300, 200)],
)
def test_how_many_neighbours_vote(smallest: int, k: int) -> None:
    """The published 200 where a class has a thousand images; never more than the smallest class has."""
    assert neighbours(smallest) == k


def test_the_smallest_class_decides(tmp_path: Path) -> None:
    write_images(tmp_path / "train", 12, classes=3)
    for extra in write_images(tmp_path / "more", 8, classes=1).rglob("*.jpg"):
        extra.rename(tmp_path / "train" / "c0" / f"more-{extra.name}")
    write_images(tmp_path / "val", 6, classes=3)
    evaluation = KnnEvaluation(labelled_pair(str(tmp_path)), 32, torch.device("cpu"), 1)
    assert evaluation.k == 4


@pytest.fixture(scope="module")
def run(image_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with data/ and out/: one short run with the kNN monitor."""
    register_miniature()
    root = tmp_path_factory.mktemp("monitors")
    (root / "data").mkdir()
    for part in ("train", "val"):
        (root / "data" / part).symlink_to(image_folder)
    more = ["--max-iters", "6", "--knn-every", "1", "--mlp", "-p", "2"]
    assert (
        cli.main(["--data", str(root / "data"), "--output", str(root / "out"), *OPTIONS.split(), *more]) == 0
    )
    return root


def test_log_has_loss_and_knn(run: Path) -> None:
    lines = [json.loads(line) for line in (run / "out" / "log.jsonl").read_text().splitlines()]
    assert [line["iteration"] for line in lines if "loss" in line] == [2, 4, 6]
    assert [line["iteration"] for line in lines if "knn" in line] == [0, 3, 6]
    assert all(0 <= line["knn"] <= 100 and line["knn_k"] == 12 for line in lines if "knn" in line)
    assert all(math.isfinite(line["loss"]) and line["images_per_s"] > 0 for line in lines if "loss" in line)


def test_feature_export(run: Path, tmp_path: Path, image_folder: Path) -> None:
    """Rows in the order of the names; equal to the encoder's features of that image alone."""
    arguments = ["--data", str(image_folder), "--pretrained", str(run / "out" / "checkpoint_last.pth.tar")]
    arguments += ["--output", str(tmp_path / "features.npz"), "--image-size", "32", "--device", "cpu"]
    assert features.main(arguments) == 0
    with np.load(tmp_path / "features.npz") as file:
        assert file["features"].shape == (24, 8)
        assert file["labels"].tolist() == [0] * 12 + [1] * 12
        assert file["names"][12] == "c1/001.jpg"
        row = file["features"][12]
    encoder, _ = load_encoder(run / "out" / "checkpoint_last.pth.tar", torch.device("cpu"))
    crop = centre_crop(decode((image_folder / "c1" / "001.jpg").read_bytes()), 32)
    alone = pooled_features(encoder, normalise(torch.from_numpy(crop.copy())[None]))
    np.testing.assert_allclose(alone.detach()[0], row, rtol=1e-4, atol=1e-6)


def test_knn_of_a_checkpoint_is_the_monitors(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    """The command gives the last value of the log; its options change what is measured."""
    logged = [json.loads(line) for line in (run / "out" / "log.jsonl").read_text().splitlines()]
    expected = [line["knn"] for line in logged if "knn" in line][-1]
    fixed = ["--data", str(run / "data"), "--pretrained", str(run / "out" / "checkpoint_last.pth.tar")]
    fixed += ["--image-size", "32", "--device", "cpu", "--output", str(tmp_path / "knn.json")]
    assert knn.main(fixed) == 0
    assert f"kNN top-1 {expected:.2f} (k 12, temperature 0.07): 24 images by 24" in capsys.readouterr().out
    result = json.loads((tmp_path / "knn.json").read_text())
    assert (result["knn"], result["k"]) == (expected, 12)  # the smallest class has no more
    assert (result["train_images"], result["test_images"]) == (24, 24)
    assert knn.main([*fixed, "-k", "1", "-b", "5"]) == 0
    assert json.loads((tmp_path / "knn.json").read_text())["knn"] == 100  # each image is its own neighbour
    assert knn.main([*fixed, "--key-encoder", "--temperature", "1"]) == 0
    with pytest.raises(SystemExit):
        knn.main([*fixed, "--temperature", "0"])
    capsys.readouterr()
    assert knn.main([*fixed, "-k", "25"]) == 2
    assert capsys.readouterr().err == "error: -k 25: expected 1 to 24, the number of labelled images\n"


@pytest.mark.parametrize(("extraction", "iteration"), [(1, 0), (3, 3)], ids=["untrained", "in mid-run"])
def test_a_stop_during_knn_loses_nothing(
    run: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    extraction: int,
    iteration: int,
) -> None:
    """SIGTERM breaks the measurement off and says so; in the end the log is that of a run left alone."""
    more = ["--max-iters", "6", "--knn-every", "1", "--mlp", "-p", "2"]
    command = ["--data", str(run / "data"), "--output", str(tmp_path), *OPTIONS.split(), *more]
    calls = []

    def interrupted(*args, **kwargs):
        calls.append(1)
        if len(calls) == extraction:
            os.kill(os.getpid(), signal.SIGTERM)
        return extract(*args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(knn_monitor, "extract", interrupted)
        assert cli.main(command) == 143
    said = capsys.readouterr().out
    assert "is broken off; it is measured when the run goes on" in said
    assert f"stopped {'at iteration 3 of 6' if iteration else 'before the first iteration'}" in said
    assert (tmp_path / "checkpoint_last.pth.tar").exists() == bool(iteration)
    assert cli.main(command) == 0
    a, b = (
        [{k: v for k, v in json.loads(line).items() if k != "images_per_s"} for line in text.splitlines()]
        for text in ((folder / "log.jsonl").read_text() for folder in (tmp_path, run / "out"))
    )
    assert a == b
