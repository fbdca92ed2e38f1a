"""Features are those of the published classes, of every family, from the same weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torchvision.models import resnet18

from converters.backbone import Backbone
from converters.convert import open_checkpoint
from tests.converters.certify.cases import both
from tests.converters.networks import conv_cases, swin_cases
from tests.converters.networks.hierarchies import trained
from transfer.errors import TransferError
from transfer.frozen.network import Frozen, build
from transfer.recipes.resolve import RANDOM_MANIFEST, apply_manifest, load_recipe


def _images(side: int) -> Tensor:
    return torch.from_numpy(np.random.default_rng(0).integers(0, 256, (3, side, side, 3), np.uint8))


def _normalised(images: Tensor, backbone: Backbone) -> Tensor:
    """Normalises as a published class takes it: (3, 3, S, S), RGB."""
    mean, std = (torch.tensor(backbone.manifest[f"pixel_{key}"]).view(3, 1, 1) for key in ("mean", "std"))
    return (images.permute(0, 3, 1, 2).float() - mean) / std


def _frozen(backbone: Backbone, **features: Any) -> Frozen:
    cfg = load_recipe("frozen", [(f"FEATURES.{key}", value) for key, value in features.items()])
    net, account = build(apply_manifest(cfg, backbone.manifest), backbone, seed=0, label="mine")
    assert account.set == account.total > 0
    return net


def _opened(model: nn.Module, path: Path, **facts: Any) -> Backbone:
    torch.save(model.state_dict(), path)
    return open_checkpoint(path, **facts)


def _close(ours: Tensor, theirs: Tensor) -> None:
    assert ours.shape == theirs.shape
    assert ours.dtype == torch.float32
    assert (ours - theirs).abs().max() < 1e-5 * theirs.abs().max()


@torch.no_grad()
def test_a_resnet_gives_the_mean_of_its_last_map(tmp_path: Path) -> None:
    theirs = resnet18().eval()
    for module in theirs.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(std=0.1)  # type: ignore[union-attr]
            module.running_var.uniform_(0.5, 1.5)  # type: ignore[union-attr]
            module.weight.uniform_(0.5, 1.5)
            module.bias.normal_(std=0.1)
    backbone = _opened(theirs, tmp_path / "r18.pth")
    theirs.fc = nn.Identity()  # type: ignore[assignment]
    net = _frozen(backbone)
    _close(net(_images(64)), theirs(_normalised(_images(64), backbone)))
    assert not any("norm" in type(module).__name__.lower() for module in net.modules()), "folded"
    assert not any(p.requires_grad for p in net.parameters())
    swapped = Backbone(backbone.weights, {**backbone.manifest, "input_format": "BGR"})
    upside_down = _normalised(_images(64).flip(-1), backbone)
    _close(_frozen(swapped)(_images(64)), theirs(upside_down))


@pytest.mark.parametrize(
    ("kind", "pool"),
    [
        *(("dinov2", pool) for pool in ("published", "class", "mean", "class+mean")),
        ("no class token", "published"),
        ("registers", "mean"),
        ("no final norm", "published"),
    ],
)
@torch.no_grad()
def test_a_vit_gives_its_class_token_or_the_mean_of_its_patches(kind: str, pool: str) -> None:
    theirs, backbone = both(kind)
    tokens = theirs.forward_features(_normalised(_images(56), backbone))  # type: ignore[operator]
    first = backbone.manifest["class_token"] + backbone.manifest["registers"]
    parts = {"class": tokens[:, :1], "mean": tokens[:, first:]}
    names = {"published": "class" if backbone.manifest["class_token"] else "mean"}.get(pool, pool)
    expected = torch.cat([parts[name].mean(1) for name in names.split("+")], 1)
    _close(_frozen(backbone, POOL=pool)(_images(56)), expected)


@torch.no_grad()
def test_a_convnext_and_a_swin_give_what_their_classifiers_take(tmp_path: Path) -> None:
    for name, theirs in (
        ("convnext", conv_cases.timm_net()),
        ("swin", trained(swin_cases.timm_net((64, 64)))),
    ):
        backbone = _opened(theirs, tmp_path / f"{name}.pth")
        assert backbone.manifest["family"] == name
        model: Any = theirs
        seen = model.forward_features(_normalised(_images(64), backbone))
        _close(_frozen(backbone)(_images(64)), model.forward_head(seen, pre_logits=True))


def test_a_random_network_is_drawn_by_the_seed() -> None:
    cfg = load_recipe("frozen", [("MODEL.RESNETS.DEPTH", 18), ("MODEL.RESNETS.RES2_OUT_CHANNELS", 16)])
    cfg.merge_from_list(["MODEL.RESNETS.STEM_OUT_CHANNELS", 16])
    one, again, other = (build(cfg, None, seed, "random")[0](_images(64)) for seed in (1, 1, 2))
    assert torch.equal(one, again)
    assert not torch.equal(one, other)


def test_windows_and_norms_of_detectors_move_no_feature() -> None:
    _, backbone = both("dinov2")
    keys = [("MODEL.VIT.WINDOW", 3), ("MODEL.VIT.REL_BIAS_TOKENS", 7)]
    cfg = apply_manifest(load_recipe("frozen", keys), backbone.manifest)
    found, _ = build(cfg, backbone, seed=0, label="mine")
    assert torch.equal(found(_images(56)), _frozen(backbone)(_images(56)))


def test_a_class_token_that_is_not_there_is_refused() -> None:
    _, backbone = both("no class token")
    with pytest.raises(TransferError, match="the weights have no class token; choose 'mean'"):
        _frozen(backbone, POOL="class")


def test_what_no_such_network_gives_is_refused() -> None:
    cfg = load_recipe("frozen", [("FEATURES.POOL", "class")])
    with pytest.raises(TransferError, match="of the weights of a ResNet there is 'published' or 'mean'"):
        apply_manifest(cfg, RANDOM_MANIFEST)
    with pytest.raises(TransferError, match="CROP is 300; expected no more than FEATURES.RESIZE, 256"):
        load_recipe("frozen", [("FEATURES.CROP", 300)])
