"""Linear heads and UperNet refuse what does not fit: one line, exit code 2, nothing made, no data read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from converters.backbone import Backbone, save_backbone
from converters.models.build import build
from tests.benchmarks.command_line import miniature
from transfer.recipes.convnext import CONVNEXT
from transfer.recipes.facts_of_weights import random_manifest
from transfer.recipes.family import Family
from transfer.recipes.vit import VIT

TINY = {"embed_dim": 8, "num_heads": 2, "mlp_dim": 16, "pos_tokens": 5}
KINDS: dict[str, tuple[Family, dict[str, Any]]] = {
    "convnext": (CONVNEXT, {"depths": [1, 1, 1, 1], "dims": [8, 8, 8, 8]}),
    "vit14": (VIT, {**TINY, "patch_size": 14}),
    "short": (VIT, {**TINY, "depth": 8}),
    "shallow": (VIT, {**TINY, "depth": 2}),
    "without": (VIT, {**TINY, "final_norm": False}),
}
TEXTS = ("source", "source_file", "source_sha256", "container_path", "prefix", "encoder", "dialect")
CASES = {
    "family": (
        "ade20k_upernet_b",
        "resnet",
        [],
        "those of a ResNet, the recipe is for a ViT; a ResNet goes into ade20k_linear, ",
    ),
    "other family": (
        "ade20k_upernet_b",
        "convnext",
        [],
        "those of a ConvNeXt, the recipe is for a ViT; a ConvNeXt goes into .*ade20k_upernet_convnext_t",
    ),
    "patch": (
        "ade20k_linear_4layer",
        "vit14",
        [],
        r"INPUT.CROP.SIZE is \[128, 128\], and the weights have patches of 14 pixels: expected multiples of "
        r"14, as INPUT.CROP.SIZE '\[126, 126\]'",
    ),
    "window": (
        "ade20k_linear_4layer",
        "vit14",
        ["INPUT.CROP.SIZE", "[126, 126]"],
        r"TEST.SLIDING_WINDOW.SIZE is \[128, 128\], and the weights have patches of 14 pixels: "
        r".*'\[126, 126\]'",
    ),
    "size": (
        "ade20k_upernet_b",
        "vit14",
        ["INPUT.CROP.SIZE", "[60, 64]"],
        "expected multiples of 16, as INPUT.SIZES",
    ),
    "cells": (
        "ade20k_upernet_convnext_t",
        "convnext",
        ["INPUT.CROP.SIZE", "[48, 64]"],
        "the last map is 32 times smaller: expected multiples of 32",
    ),
    "taps": (
        "ade20k_linear_4layer",
        "short",
        [],
        r"MODEL.VIT.TAPS is \[3, 5, 7, 11\], and the weights have 8 blocks, numbered from 0: there is no 11",
    ),
    "few blocks": (
        "ade20k_upernet_b",
        "shallow",
        [],
        "the weights have 2 blocks, .* there is no -4, -3; name",
    ),
    "maps": (
        "ade20k_upernet_b",
        "vit14",
        ["MODEL.VIT.TAPS", "[-2, -1]"],
        "UperNet stands on 4 maps: name as many",
    ),
    "norm": ("voc_linear", "without", [], "MODEL.VIT.NORM_TAPS is true, and the weights have no final norm"),
    "batch": (
        "ade20k_upernet_swin_t",
        "random",
        ["SOLVER.IMS_PER_BATCH", "1"],
        "expected 2 or more: UperNet norms maps of one cell",
    ),
    "suite": ("ade20k_upernt_b", "random", [], "no such suite; nearest: ade20k_upernet_b"),
    "group": ("uppernet", "random", [], "no such suite; nearest: .*upernet"),
    "key": (
        "ade20k_upernet_b",
        "random",
        ["MODEL.UPERNET.POOLS", "[1]"],
        "did you mean MODEL.UPERNET.POOL_SCALES",
    ),
    "pools": (
        "ade20k_upernet_b",
        "random",
        ["MODEL.UPERNET.POOL_SCALES", "[0]"],
        "POOL_SCALES is .*; expected a list",
    ),
    "foreign": (
        "ade20k_upernet_b",
        "random",
        ["MODEL.SWIN.DROP_PATH", "0.1"],
        "belongs to another kind of backbone, and this one is a ViT",
    ),
}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory, narrow_backbone: Path) -> dict[str, str]:
    """Backbone files of small networks, and the row of random weights."""
    folder, made = tmp_path_factory.mktemp("backbones"), {"random": "random", "resnet": str(narrow_backbone)}
    for name, (family, facts) in KINDS.items():
        known = {**random_manifest(family), **facts}
        weights = {key: tensor.numpy() + 0.01 for key, tensor in build(known).state_dict().items()}
        told = {**dict.fromkeys(TEXTS, "x"), "num_tensors": len(weights), "tool_version": "1", "notes": []}
        save_backbone(Backbone(weights, {**known, **told}), folder / f"{name}.pkl")
        made[name] = str(folder / f"{name}.pkl")
    return made


@pytest.mark.parametrize("case", CASES)
def test_it_is_refused_in_one_line(
    case: str, files: dict[str, str], refuse: Callable[..., None], tmp_path: Path
) -> None:
    suite, init, overrides, message = CASES[case]
    options = miniature(files[init], suite=suite, data_root=tmp_path)
    refuse(*options, *overrides, message=message)
