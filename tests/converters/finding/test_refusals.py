"""Other networks and other files are refused with the reason, in one line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torchvision.models import resnet

from converters.containers.reading import FOLDERS, NO_CHECKPOINT, open_file
from converters.convert import open_checkpoint
from converters.errors import CheckpointError
from tests.converters.checkpoint_nets import Weights, template, tensors, trained
from tests.converters.foreign_names import caffe2, prefixed
from tests.converters.publishers.files import msra
from tests.converters.safetensors_bytes import write


def zeros(model: str, divide: int = 16) -> Weights:
    return {name: np.zeros(shape, "f4") for name, shape in template(model, divide).items()}


def with_norms_only(weights: Weights, *parts: str) -> Weights:
    return {
        name: array for name, array in weights.items() if name.rsplit(".", 1)[1] in ("weight", "bias", *parts)
    }


def deep_stem(w: Weights) -> Weights:
    stem = {f"conv1.{i}.weight": np.ones((8, 3 if i == 0 else 8, 3, 3), "f4") for i in (0, 3, 6)}
    return {name: array for name, array in w.items() if name != "conv1.weight"} | stem


def small_image_stem(w: Weights) -> Weights:
    return w | {"conv1.weight": np.ones((*w["conv1.weight"].shape[:2], 3, 3), "f4")}


def pooled_shortcut(w: Weights) -> Weights:
    """The pool takes the first place in the sequence, so convolution and norm move up."""
    steps = (("downsample.1", "downsample.2"), ("downsample.0", "downsample.1"))
    return {n.replace(*steps[0]).replace(*steps[1]): a for n, a in w.items()}


def halves(w: Weights) -> Weights:
    def of(channels: int) -> Weights:
        return w | {"conv1.weight": np.ones((w["conv1.weight"].shape[0], channels, 7, 7), "f4")}

    return prefixed(of(1), "module.encoder1.") | prefixed(of(2), "module.encoder2.")


def deeper(w: Weights) -> Weights:
    extra = [n for n in w if n.startswith("layer2.3.")]
    more = {n.replace("layer2.3.", f"layer2.{i}."): w[n] for n in extra for i in range(4, 24)}
    return w | more


KINDS: dict[str, tuple[Callable[[Weights], Weights], str]] = {
    "ViT of torchvision": (lambda w: zeros("vit_b_16"), r"vision transformer \(ViT\)"),
    "ViT of timm": (lambda w: {"base_encoder.patch_embed.proj.weight": np.ones((9, 3, 4, 4), "f4"),
                               "base_encoder.cls_token": np.ones((1, 1, 9), "f4")}, "vision transformer"),
    "Swin V2": (lambda w: zeros("swin_v2_t"), "a Swin V2"),
    "MaxViT": (lambda w: zeros("maxvit_t"), "MaxViT"),
    "isotropic ConvNeXt": (lambda w: {"blocks.0.dwconv.weight": np.ones((8, 1, 7, 7), "f4")}, "isotropic"),
    "ResNet-200": (deeper, "another depth|no complete ResNet"),
    "CMC": (halves, "CMC"),
    "SE": (lambda w: w | {"layer1.0.se_module.fc1.weight": np.ones((2, 8, 1, 1), "f4")}, r"\(SE\)"),
    "ECA": (lambda w: w | {"layer1.0.eca.conv.weight": np.ones((1, 1, 3), "f4")}, r"\(ECA\)"),
    "SK": (lambda w: {"net.0.0.weight": np.ones((8, 3, 3, 3), "f4"),
                      "net.1.blocks.0.net.2.main_conv.0.weight": np.ones((8, 8, 3, 3), "f4")}, r"\(SK\)"),
    "CIFAR stem": (small_image_stem, "CIFAR"),
    "deep stem": (deep_stem, "deep stem"),
    "ResNet-D": (pooled_shortcut, "ResNet-D"),
    "GroupNorm": (lambda w: with_norms_only(w), "without running statistics"),
    "fused norms": (lambda w: caffe2(w, fused=True), "FrozenBN only"),
    "head": (lambda w: {"fc.weight": np.ones((9, 64), "f4"), "fc.bias": np.ones(9, "f4")}, "no convolutions"),
    "FSDP shard": (lambda w: {"_fsdp_wrapped_module._flat_param": np.ones(99, "f4")}, "shard"),
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_other_networks(kind: str, tiny: Weights, tmp_path: Path) -> None:
    make, message = KINDS[kind]
    with pytest.raises(CheckpointError, match=message) as refusal:
        open_checkpoint(write(tmp_path / "other.safetensors", make(tiny)))
    assert "\n" not in str(refusal.value)
    assert len(str(refusal.value)) < 900


def test_fused_norms_can_be_accepted_for_frozen_norms(tiny: Weights, tmp_path: Path) -> None:
    path = write(tmp_path / "R-50.safetensors", caffe2(tiny, fused=True))
    backbone = open_checkpoint(path, accept=["fused-bn"])
    assert any("FrozenBN only" in note for note in backbone.manifest["notes"])
    name = "res2.0.conv1.norm"
    parts = (backbone.weights[f"{name}.{part}"] for part in ("weight", "bias", "running_mean", "running_var"))
    scale, shift, mean, variance = parts
    effective = scale / np.sqrt(variance + np.float32(1e-5))  # Detectron2's FrozenBatchNorm2d
    np.testing.assert_allclose(effective, tiny["layer1.0.bn1.weight"], rtol=1e-6)
    np.testing.assert_array_equal(shift - mean * effective, tiny["layer1.0.bn1.bias"])


TEXTS = {
    b"version https://git-lfs.github.com/spec/v1\noid sha256:0": "git-lfs pointer",
    b"\n\n<!DOCTYPE html><html><body>404": "web page",
    b"<HTML>login": "web page",
    b'{"error": "not found"}': "JSON",
    b"<?xml version='1.0'?><Error/>": "XML",
    b"\x1f\x8b\x08\x00rest": "gzip",
    b"BZh9rest": "bzip2",
    b"\x89HDF\r\n\x1a\nrest": "HDF5",
    b"\x93NUMPY\x01\x00v\x00": "one numpy array",
    b"": "empty",
    b"\x00" * 5000: "no known checkpoint format",
    b"PK\x03\x04 and no more": "damaged or truncated zip",
    b"\x80\x02": "truncated",
}


@pytest.mark.parametrize("content", TEXTS, ids=lambda content: repr(content[:12]))
def test_other_files(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "model.pth"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=TEXTS[content]):
        open_checkpoint(path)


def test_every_signature_is_tried() -> None:
    meanings = {meaning for _, meaning in NO_CHECKPOINT}
    assert all(any(word in meaning for word in TEXTS.values()) or "xz" in meaning for meaning in meanings)


def test_random_bytes(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for _ in range(200):
        (tmp_path / "random").write_bytes(rng.bytes(300))
        with pytest.raises(CheckpointError):
            open_checkpoint(tmp_path / "random")


@pytest.mark.parametrize("pattern", [pattern for pattern, _ in FOLDERS])
def test_folders_are_named(pattern: str, tmp_path: Path) -> None:
    (tmp_path / pattern.replace("*", "x")).write_bytes(b"x")
    meaning = next(text for known, text in FOLDERS if known == pattern)
    with pytest.raises(CheckpointError) as refusal:
        open_checkpoint(tmp_path)
    assert meaning in str(refusal.value)


def test_missing_and_empty_places(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no such file"):
        open_checkpoint(tmp_path / "nothing.pth")
    with pytest.raises(CheckpointError, match="is a folder"):
        open_checkpoint(tmp_path)


def test_huggingface_folder_needs_its_config(tiny: Weights, tmp_path: Path) -> None:
    write(tmp_path / "model.safetensors", tiny)
    with pytest.raises(CheckpointError, match=r"config\.json"):
        open_checkpoint(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps([]))
    with pytest.raises(CheckpointError, match="expected a table"):
        open_checkpoint(tmp_path)


def test_torchscript_is_a_program(tmp_path: Path) -> None:
    torch.jit.save(torch.jit.script(torch.nn.Linear(2, 2)), tmp_path / "m.pt")
    with pytest.raises(CheckpointError, match="TorchScript"):
        open_checkpoint(tmp_path / "m.pt")


def test_source_and_encoder_must_fit(tiny: Weights, tmp_path: Path) -> None:
    path = write(tmp_path / "a.safetensors", tiny)
    with pytest.raises(CheckpointError, match="this is no MoCo v3"):
        open_checkpoint(path, source="moco_v3")
    with pytest.raises(CheckpointError, match="unknown source 'mocco'"):
        open_checkpoint(path, source="mocco")
    with pytest.raises(CheckpointError, match="expected online or ema"):
        open_checkpoint(path, encoder="teacher")
    with pytest.raises(CheckpointError, match="ema encoder .* is missing"):
        open_checkpoint(path, encoder="ema")
    with pytest.raises(CheckpointError, match="unknown override depth"):
        open_checkpoint(path, depth=50)


def test_msra_needs_no_statistics_override(narrow: Weights, tmp_path: Path) -> None:
    backbone = open_checkpoint(msra(narrow, narrow, tmp_path))
    facts = backbone.manifest
    assert facts["input_format"] == "BGR"
    assert facts["pixel_mean"] == [103.53, 116.28, 123.675]
    assert facts["pixel_std"] == [1.0, 1.0, 1.0]


def test_a_whole_pickled_model_gives_its_tensors(tmp_path: Path) -> None:
    net = resnet.ResNet(resnet.Bottleneck, [3, 4, 6, 3], width_per_group=4)
    torch.save({"epoch": 1, "model": net}, tmp_path / "model.pth")
    backbone = open_checkpoint(tmp_path / "model.pth")
    assert backbone.manifest["width_per_group"] == 4
    kernel = net.layer4[2].conv3.weight.detach()
    np.testing.assert_array_equal(backbone.weights["res5.2.conv3.weight"], kernel)
    assert "torchvision.models.resnet.ResNet" in open_file(tmp_path / "model.pth").foreign


def test_two_networks_need_a_prefix(tiny: Weights, tmp_path: Path) -> None:
    second = trained({name: array.shape for name, array in tiny.items()}, seed=9)
    path = tmp_path / "two.pth"
    torch.save({"a": tensors(prefixed(tiny, "net.")), "b": tensors(second)}, path)
    with pytest.raises(CheckpointError, match="choose one with --prefix"):
        open_checkpoint(path)
    backbone = open_checkpoint(path, prefix="a:net")
    np.testing.assert_array_equal(backbone.weights["stem.conv1.weight"], tiny["conv1.weight"])
