"""Counts from the recipe equal those of the models that the engines build."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from benchmarks.planning.suite import groups, load_suite
from transfer.engines.choose import detectron2_found, load_engine
from transfer.parameters import Count, count_parameters
from transfer.recipes.resolve import flatten, load_recipe

RECIPES = sorted({load_suite(name).recipe for name in groups()["paper"]} | {"lvis_frozen_bn"})
# Part -> the modules, by their names in both engines.
PLACES = {
    "backbone": ("backbone.stem.", "backbone.res", "backbone.bottom_up.", "roi_heads.res5."),
    "extra norm": ("roi_heads.res5.norm.",),
    "C5 conv": ("backbone.c5_conv.",),
    "FPN": ("backbone.fpn_",),
    "RPN": ("proposal_generator.",),
    "box head": ("roi_heads.box_",),
    "mask head": ("roi_heads.mask_head.",),
    "keypoint head": ("roi_heads.keypoint_head.",),
    "DensePose head": ("roi_heads.densepose",),
    "head": ("sem_seg_head.",),
}


def _counted(model: torch.nn.Module) -> dict[str, Count]:
    found: dict[str, Any] = {}
    for name, parameter in model.named_parameters():
        (part, *_) = [p for p in ("extra norm", *PLACES) if name.startswith(PLACES[p])]
        number = parameter.numel()
        before = found.get(part, Count(0, 0))
        found[part] = Count(before.all + number, before.trainable + number * parameter.requires_grad)
    return found


@pytest.mark.parametrize("name", ["torchvision", pytest.param("detectron2", marks=pytest.mark.detectron2)])
def test_counts_equal_the_models(name: str) -> None:
    if name == "detectron2" and not detectron2_found():
        pytest.skip("Detectron2 is not importable")
    engine = load_engine(name)
    cases = [(recipe, []) for recipe in RECIPES]
    cases += [
        ("coco_fpn_1x", [("MODEL.BACKBONE.FREEZE_AT", 2)]),
        ("voc_c4", [("MODEL.BACKBONE.FREEZE_AT", 1)]),
    ]
    for recipe, overrides in cases:
        cfg = load_recipe(recipe, overrides)
        with torch.device("meta"):
            model = engine.build(cfg, torch.device("meta"))
        wanted = {part: count for part, count in count_parameters(flatten(cfg)).items() if count.all}
        assert _counted(model) == wanted, recipe


def test_the_published_size_of_a_resnet50() -> None:
    """torchvision's ResNet-50 has 25,557,032 parameters, 2,049,000 of them in the classifier."""
    assert count_parameters(flatten(load_recipe("coco_fpn_1x")))["backbone"] == Count(23508032, 23508032)
