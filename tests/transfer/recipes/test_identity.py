"""Cells are known by their recipes: new keys and families leave those of old records what they were."""

from __future__ import annotations

import pytest

from transfer.recipes.architectures import FAMILIES
from transfer.recipes.facts_of_weights import random_manifest
from transfer.recipes.identity import LATER_KEYS, recipe_sha256
from transfer.recipes.own import OWN
from transfer.recipes.resolve import RECIPES, apply_manifest, known, load_recipe

# Of every recipe on 2026-11-26, before there were keys of solvers and other families.
FROZEN = {
    "c4_bn": "d00bd3e9a0629239",
    "cityscapes_instance": "aa215b43b0c51f87",
    "cityscapes_semantic": "f5aecfdc73f7054f",
    "coco_c4_1x": "fbab0e04584b62bb",
    "coco_c4_2x": "5078efa7474296e2",
    "coco_densepose": "382b0fcf1faa3f28",
    "coco_fpn_1x": "48e19da7c1884c00",
    "coco_fpn_2x": "050520d3cd244ee4",
    "coco_fpn_6x": "01d71f2659b5f4ed",
    "coco_keypoint": "10541828125afdc3",
    "fcn16s": "ca3ac561662cfca0",
    "fpn_bn": "15492118c8869ae6",
    "lvis": "311d837d85a70c42",
    "lvis_frozen_bn": "6db0cb1e404f0535",
    "voc07_c4": "ca6dff494540a812",
    "voc_c4": "b382d9a8347e9bcb",
    "voc_dc5": "acdc2dc0d3f9feeb",
    "voc_semantic": "5c82399b99959cb4",
}


@pytest.mark.parametrize("name", FROZEN)
def test_a_recipe_of_old_records_has_its_old_hash(name: str) -> None:
    assert recipe_sha256(load_recipe(name)).startswith(FROZEN[name])


def test_later_keys_are_keys_and_move_the_hash_where_they_say_something() -> None:
    assert all(any(key.startswith(later) for key in known()) for later in LATER_KEYS)
    base = recipe_sha256(load_recipe("voc_dc5"))
    for key, value in (("SOLVER.OPTIMIZER", "adamw"), ("MODEL.BACKBONE.FROZEN", True)):
        assert recipe_sha256(load_recipe("voc_dc5", [(key, value)])) != base


def _hashes(*overrides: tuple[str, object]) -> list[str]:
    """Of ade20k_linear with random weights of each family that it takes."""
    cfg = load_recipe("ade20k_linear", overrides)
    own = [key for key, _ in overrides]
    return [
        recipe_sha256(apply_manifest(cfg, random_manifest(family), own))
        for family in FAMILIES
        if family is not OWN and (not own or own[0].startswith((family.section, "SOLVER")))
    ]


def test_rows_of_all_families_of_a_recipe_are_compared() -> None:
    """Their table would otherwise say that they were trained by other recipes."""
    resnet, vit, convnext, swin = _hashes()
    assert resnet == vit == convnext == swin
    (other,) = _hashes(("MODEL.VIT.TAPS", [-2, -1]))
    assert other != vit
    slower = set(_hashes(("SOLVER.BASE_LR", 0.0003)))
    assert len(slower) == 1
    assert slower != {vit}
    assert recipe_sha256(load_recipe("ade20k_linear_4layer")) != vit


def test_every_recipe_of_before_is_still_there() -> None:
    assert all((RECIPES / f"{name}.yaml").is_file() for name in FROZEN)
