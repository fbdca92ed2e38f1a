"""Sizes that are written for patches of 16 pixels, for weights with other patches."""

from __future__ import annotations

from typing import Any

import pytest

from transfer.errors import TransferError
from transfer.recipes.convnext import CONVNEXT
from transfer.recipes.facts_of_weights import random_manifest
from transfer.recipes.patches import SIZES, in_pixels
from transfer.recipes.resolve import apply_manifest, flatten, load_recipe
from transfer.recipes.vit import VIT


def _sizes(patch: int, recipe: str = "ade20k_linear") -> dict[str, Any]:
    cfg = apply_manifest(load_recipe(recipe), random_manifest(VIT) | {"patch_size": patch})
    flat = flatten(in_pixels(cfg))
    return {key: flat[key] for key in SIZES}


def test_every_network_sees_as_many_patches() -> None:
    assert _sizes(16) == {key: flatten(load_recipe("ade20k_linear"))[key] for key in SIZES}
    assert _sizes(14) == {
        "INPUT.CROP.SIZE": [448, 448],
        "TEST.SLIDING_WINDOW.SIZE": [448, 448],
        "TEST.SLIDING_WINDOW.STRIDE": [298, 298],  # 341 * 14 / 16 = 298.4
        "INPUT.MIN_SIZE_TRAIN": [448],
        "INPUT.MIN_SIZE_TEST": 448,
        "INPUT.MAX_SIZE_TRAIN": 57344,
        "INPUT.MAX_SIZE_TEST": 57344,
    }
    assert _sizes(8)["INPUT.CROP.SIZE"] == [256, 256]


def test_networks_without_patches_and_recipes_for_any_patch_keep_their_sizes() -> None:
    cfg = apply_manifest(load_recipe("ade20k_linear"), random_manifest(CONVNEXT))
    assert in_pixels(cfg) is cfg
    assert _sizes(8, "ade20k_linear_4layer")["INPUT.CROP.SIZE"] == [512, 512]
    with pytest.raises(TransferError, match="patches of 14 pixels: expected multiples of 14"):
        _sizes(14, "ade20k_linear_4layer")
    resnet = load_recipe("voc_c4")
    assert in_pixels(resnet) is resnet


def test_the_argument_stays_as_it_is_and_twice_is_once() -> None:
    cfg = apply_manifest(load_recipe("ade20k_linear"), random_manifest(VIT) | {"patch_size": 14})
    once = in_pixels(cfg)
    assert cfg.INPUT.CROP.SIZE == [512, 512]
    assert in_pixels(once) is once


@pytest.mark.parametrize("key", ["INPUT.CROP.SIZE", "TEST.SLIDING_WINDOW.SIZE"])
def test_half_a_patch_is_refused(key: str) -> None:
    with pytest.raises(TransferError, match=rf"{key} is \[500, 512\]; expected multiples of 16"):
        load_recipe("ade20k_linear", [(key, [500, 512])])
