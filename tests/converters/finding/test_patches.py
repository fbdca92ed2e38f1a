"""Patches of another size: timm's resampling, exact for an enlarged patch, refused where there are none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn.functional import conv2d, interpolate

from converters.__main__ import main
from converters.backbone import Backbone, load_backbone, save_backbone
from converters.errors import CheckpointError
from converters.finding.patches import KERNEL, with_patches
from converters.models.build import build
from tests.converters.networks.hierarchies import need
from transfer.recipes.facts_of_weights import random_manifest
from transfer.recipes.vit import VIT

FACTS = {"embed_dim": 64, "depth": 1, "num_heads": 1, "mlp_dim": 64, "patch_size": 8, "pos_tokens": 17}


@pytest.fixture(scope="module")
def vit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A converted ViT with patches of 8 pixels."""
    torch.manual_seed(0)
    module = build(random_manifest(VIT) | FACTS)
    for tensor in module.parameters():
        torch.nn.init.normal_(tensor, std=0.1)
    folder = tmp_path_factory.mktemp("patches")
    torch.save({"model": module.state_dict()}, folder / "raw.pth")
    assert main([str(folder / "raw.pth"), str(folder / "vit.pkl")]) == 0
    return folder / "vit.pkl"


@pytest.mark.parametrize("side", [16, 14, 6])
def test_it_is_timms_resampling(vit: Path, side: int) -> None:
    resample = need("timm.layers.patch_embed").resample_patch_embed
    backbone = load_backbone(vit)
    expected = resample(torch.from_numpy(backbone.weights[KERNEL]), [side, side])
    found = with_patches(backbone, side).weights[KERNEL]
    assert found.shape == (64, 3, side, side)
    np.testing.assert_allclose(found, expected.numpy(), atol=1e-5)


def test_an_enlarged_patch_has_the_same_token(vit: Path) -> None:
    backbone = load_backbone(vit)
    image = torch.randn(1, 3, 8, 8, generator=torch.manual_seed(1))  # one patch: its edges are the image's
    mine, larger = (torch.from_numpy(each.weights[KERNEL]) for each in (backbone, with_patches(backbone, 16)))
    twice = interpolate(image, (16, 16), mode="bicubic", antialias=True)
    torch.testing.assert_close(conv2d(twice, larger), conv2d(image, mine), atol=1e-4, rtol=1e-4)


def test_the_command_says_so_and_nothing_else_changes(vit: Path, tmp_path: Path) -> None:
    out = tmp_path / "sixteen.pkl"
    assert main([str(vit), str(out), "--patch-size", "16"]) == 0
    before, after = load_backbone(vit), load_backbone(out)
    changed = [name for name, a in after.weights.items() if not np.array_equal(a, before.weights[name])]
    assert changed == [KERNEL]
    assert (before.manifest["patch_size"], after.manifest["patch_size"]) == (8, 16)
    assert "patches of 8 pixels resized to 16 by FlexiViT's" in after.manifest["notes"][-1]
    assert after.content_sha256() != before.content_sha256()
    assert with_patches(after, 16) is after
    save_backbone(after, tmp_path / "again.pkl")


@pytest.mark.parametrize("side", [0, -8, 65])
def test_sides_that_no_patch_has_are_refused(vit: Path, side: int) -> None:
    with pytest.raises(CheckpointError, match=f"--patch-size {side}; expected 1 to 64 pixels"):
        with_patches(load_backbone(vit), side)


def test_another_family_has_no_patches(narrow_backbone: Path) -> None:
    with pytest.raises(CheckpointError, match="--patch-size is for a vision transformer"):
        with_patches(Backbone({}, load_backbone(narrow_backbone).manifest), 16)
