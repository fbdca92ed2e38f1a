"""Checkpoints: layout, atomic writing, damage, the newest good one, and files of the published code."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import zipfile
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch

from converters.backbone import load_backbone
from converters.output.export import export
from converters.output.placing import SUFFIXES
from pretrain import cli
from pretrain.errors import PretrainError
from pretrain.methods.base import Step
from pretrain.methods.moco import MoCo
from pretrain.networks.small_network import SmallCNN
from pretrain.training import checkpoint
from pretrain.training.state import RunState
from pretrain.training.totals import Totals
from tests.pretrain.tiny import tiny_resnet

SIZES = "--image-size 32 --batch-size 8 --moco-k 32 --precision fp32 --device cpu"


def contents(iteration: int = 3) -> dict:
    return {
        "state_dict": {"module.w": torch.full((1000,), float(iteration))},
        "iteration": iteration,
        "arch": "x",
    }


def test_keep_last_and_names(tmp_path: Path) -> None:
    for iteration in range(1, 6):
        checkpoint.save(contents(iteration), tmp_path, iteration, keep=2)
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["checkpoint_00000004.pth.tar", "checkpoint_00000005.pth.tar", "checkpoint_last.pth.tar"]
    assert checkpoint.load(tmp_path / checkpoint.LAST)["iteration"] == 5


def test_the_newest_that_verifies(tmp_path: Path) -> None:
    for iteration in (1, 2):
        checkpoint.save(contents(iteration), tmp_path, iteration, keep=2)
    newest = tmp_path / "checkpoint_00000002.pth.tar"
    data = bytearray(newest.read_bytes())
    place = data.find(np.full(4, 2.0, np.float32).tobytes())
    data[place + 200] ^= 1  # one bit of one weight
    newest.write_bytes(data)
    assert torch.load(newest, weights_only=True)  # torch does not notice
    warnings: list[str] = []
    found = checkpoint.newest(tmp_path, warnings.append)
    assert found is not None
    assert found[1]["iteration"] == 1
    assert "checksum" in warnings[0]


def test_every_damage_is_found(tmp_path: Path) -> None:
    """Random bit flips and truncations: refused, or without effect on what is read."""
    path = checkpoint.save(contents(), tmp_path, 3, keep=1)
    good, rng = path.read_bytes(), np.random.default_rng(0)
    refused = 0
    for trial in range(300):
        data = bytearray(good)
        if trial % 3:
            data[rng.integers(len(data))] ^= 1 << rng.integers(8)
        else:
            data = data[: rng.integers(len(data))]
        path.write_bytes(data)
        try:
            read = checkpoint.load(path)
        except PretrainError:
            refused += 1
        else:
            assert torch.equal(read["state_dict"]["module.w"], contents()["state_dict"]["module.w"])
            assert read["iteration"] == 3
    assert refused > 200


def test_a_failed_save_leaves_the_previous_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoint.save(contents(1), tmp_path, 1, keep=2)

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    for target, name in ((torch, "save"), (os, "fsync"), (os, "replace")):
        with monkeypatch.context() as patch:
            patch.setattr(target, name, full)
            with pytest.raises(PretrainError, match="No space left"):
                checkpoint.save(contents(2), tmp_path, 2, keep=2)
        found = checkpoint.newest(tmp_path, lambda text: None)
        assert found is not None
        assert found[1]["iteration"] in (1, 2)
        assert checkpoint.load(tmp_path / checkpoint.LAST)["iteration"] in (1, 2)
        assert not list(tmp_path.glob("checkpoint_0*.part"))


def test_no_code_is_run(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple:
            return (os.mkdir, (str(tmp_path / "ran"),))

    path = tmp_path / "evil.pth.tar"
    torch.save({"state_dict": {"w": Evil()}}, path)
    with pytest.raises(PretrainError, match=r"read safely: it asks for \S+mkdir; nothing") as told:
        checkpoint.load(path)
    assert not (tmp_path / "ran").exists()
    assert not {"\n", "\x1b"} & set(str(told.value))  # torch's own words are a paragraph in colours
    assert "weights_only" not in str(told.value)


@pytest.mark.parametrize(
    ("entry", "value", "message"),
    [
        ("state_dict", {"module.w": [1]}, "'state_dict' holds 'module.w', no named tensor"),
        ("identity", [1], "'identity' is no dict"),
        ("totals", {"loss": torch.zeros(3)}, "running means or loss scale does not fit"),
        ("totals", {"other": torch.zeros(())}, "running means or loss scale does not fit"),
        ("iteration", -1, "'iteration' is -1; expected a number of at least 0"),
        ("epoch", "many", "'epoch' is 'many'"),
        ("optimizer", {"state": 1, "param_groups": 2}, "optimizer state does not fit"),
    ],
)
def test_hostile_contents_are_one_line(
    trained: Path,
    image_folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture,
    entry: str,
    value: object,
    message: str,
) -> None:
    """Everything in the file is data, but none of it is what a run puts there."""
    read = torch.load(trained, weights_only=True)
    torch.save({**read, entry: value}, tmp_path / "x.pth.tar")
    options = ["--max-iters", "7", "--mlp", "--aug-plus", "--arch", "resnet18", *SIZES.split()]
    options += ["--data", str(image_folder), "--output", str(tmp_path / "out")]
    assert cli.main([*options, "--resume", str(tmp_path / "x.pth.tar")]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert error.count("\n") == 1
    assert message in error


@pytest.mark.parametrize("data", [b"", b"<html>404</html>", b"\x80\x02garbage", b"PK\x03\x04broken"])
def test_files_that_are_none(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "x.pth").write_bytes(data)
    with pytest.raises(PretrainError, match="x.pth"):
        checkpoint.load(tmp_path / "x.pth")


def test_a_folder_is_told_its_newest_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(PretrainError, match="is a folder; expected a checkpoint file, and found none in it"):
        checkpoint.load(tmp_path)
    for number in (9, 10):  # the official code's names
        (tmp_path / f"checkpoint_{number:04d}.pth.tar").write_bytes(b"")
    with pytest.raises(PretrainError, match=r"such as \S+/checkpoint_0010.pth.tar$"):
        checkpoint.load(tmp_path)
    checkpoint.save(contents(), tmp_path, 3, keep=1)
    with pytest.raises(PretrainError, match=rf"such as {tmp_path}/checkpoint_last.pth.tar$"):
        checkpoint.load(tmp_path)


@pytest.mark.parametrize("suffix", [".pkl", ".pth", ".safetensors"])
def test_a_converted_backbone_is_called_one(
    suffix: str,
    narrow_backbone: Path,
    image_folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture,
) -> None:
    """In every form that our converters write."""
    path = tmp_path / f"a{suffix}"
    export(load_backbone(narrow_backbone), path, SUFFIXES[suffix])
    options = ["--data", str(image_folder), "--output", str(tmp_path / "out"), *SIZES.split()]
    assert cli.main([*options, "--max-iters", "1", "--resume", str(path)]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"error: {path}: a converted backbone, no checkpoint of pre-training; expected")
    assert error.count("\n") == 1


@pytest.fixture(scope="module")
def trained(image_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("run")
    more = "--max-iters 6 --mlp --aug-plus --arch resnet18"
    assert (
        cli.main(["--data", str(image_folder), "--output", str(output), *more.split(), *SIZES.split()]) == 0
    )
    return output / "checkpoint_last.pth.tar"


def test_official_layout_and_healthy_weights(trained: Path) -> None:
    read = torch.load(trained, weights_only=True)
    assert read["arch"] == "resnet18"
    assert read["epoch"] == 2  # 24 images, batch 8
    weights = read["state_dict"]
    from torchvision.models import resnet18

    backbone = {name for name in resnet18().state_dict() if not name.startswith("fc.")}
    for encoder in ("encoder_q", "encoder_k"):
        head = {"fc.0.weight", "fc.0.bias", "fc.2.weight", "fc.2.bias"}
        names = {n.removeprefix(f"module.{encoder}.") for n in weights if n.startswith(f"module.{encoder}.")}
        assert names == backbone | head
    assert {name for name in weights if "encoder" not in name} == {"module.queue", "module.queue_ptr"}
    for name, value in weights.items():
        assert torch.isfinite(value).all(), name
        assert value.is_contiguous(), name
        if name.endswith("running_var"):
            assert (value > 0).all(), name
            assert (value != 1).any(), name
        if name.endswith("running_mean"):
            assert (value != 0).any(), name
    with zipfile.ZipFile(trained) as container:
        assert container.testzip() is None


def test_official_file_is_resumed(image_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    """A file with the published code's four entries and nothing of ours: training goes on from its epoch."""
    torch.manual_seed(3)
    model = MoCo(lambda: SmallCNN(128), 128, 32)
    optimizer = torch.optim.SGD(model.parameters(), 0.03, momentum=0.9, weight_decay=1e-4)
    images = torch.randn(2, 8, 3, 32, 32)
    loss, _ = model(list(images), torch.arange(8), torch.Generator(), Step(0, 4))
    loss.backward()
    optimizer.step()
    model.after_step()
    official = {
        "epoch": 1,
        "arch": "small_cnn",
        "state_dict": OrderedDict((f"module.{name}", value) for name, value in model.state_dict().items()),
        "optimizer": optimizer.state_dict(),
    }
    torch.save(official, tmp_path / "checkpoint_0000.pth.tar")
    arguments = ["--data", str(image_folder), "--output", str(tmp_path / "out"), "--max-iters", "4"]
    arguments += [
        "--resume",
        str(tmp_path / "checkpoint_0000.pth.tar"),
        "--arch",
        "small_cnn",
        *SIZES.split(),
    ]
    assert cli.main(arguments) == 0
    assert "going on from iteration 3" in capsys.readouterr().out
    read = torch.load(tmp_path / "out" / "checkpoint_last.pth.tar", weights_only=True)
    assert read["iteration"] == 4
    assert read["state_dict"]["module.queue_ptr"].item() == 16  # one batch before, one since
    old, new = official["state_dict"], read["state_dict"]
    # Its keys are still the oldest.
    assert torch.equal(new["module.queue"][:, :8], old["module.queue"][:, :8])
    assert torch.equal(new["module.queue"][:, 16:], old["module.queue"][:, 16:])
    assert not torch.equal(new["module.encoder_q.conv1.weight"], old["module.encoder_q.conv1.weight"])
    momentum = new["module.encoder_k.conv1.weight"] - old["module.encoder_k.conv1.weight"]
    assert 0 < momentum.abs().max() < 0.01  # 0.999 of the old key encoder


def test_unpack_refuses_another_model() -> None:
    def moco(dim: int, K: int = 32) -> RunState:
        model = MoCo(lambda: tiny_resnet(dim), dim, K)
        optimizer, scaler = (
            torch.optim.SGD(model.parameters(), 0.1),
            torch.amp.GradScaler("cpu", enabled=False),
        )
        return RunState(model, optimizer, scaler, Totals(torch.device("cpu"), []), "tiny", {}, per_epoch=1)

    packed = moco(16).pack(1)
    assert moco(16).unpack(packed, "file") == 1
    with pytest.raises(PretrainError, match=r"queue is \(16, 32\), expected \(8, 32\)"):
        moco(8).unpack(packed, "file")
    del packed["state_dict"]["module.queue"]
    with pytest.raises(PretrainError, match="1 tensors missing"):
        moco(16).unpack(packed, "file")


@pytest.mark.skipif("MOCO_REPO" not in os.environ, reason="MOCO_REPO names no checkout of the published code")
def test_the_published_converter_reads_ours(trained: Path, tmp_path: Path) -> None:
    script = Path(os.environ["MOCO_REPO"]) / "detection" / "convert-pretrain-to-detectron2.py"
    command = [sys.executable, str(script), str(trained), str(tmp_path / "converted.pkl")]
    subprocess.run(command, check=True, capture_output=True)
    with open(tmp_path / "converted.pkl", "rb") as file:
        model = pickle.load(file)["model"]  # written a moment ago by the script above
    stored = torch.load(trained, weights_only=True)["state_dict"]
    assert np.array_equal(model["res5.1.conv2.weight"], stored["module.encoder_q.layer4.1.conv2.weight"])
    assert np.array_equal(model["stem.conv1.norm.running_var"], stored["module.encoder_q.bn1.running_var"])
