"""The init proof, suite by suite: every backbone tensor arrives, and only what is named may stay fresh."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks.planning.suite import groups, load_suite
from converters.backbone import load_backbone
from transfer.engines.choose import detectron2_found, load_engine
from transfer.recipes.architectures import architecture_of
from transfer.recipes.resolve import apply_manifest, flatten, load_recipe
from transfer.training.load_backbone import load_backbone_into

# Narrow heads; a backbone's width does not reach them.
NARROW_HEADS = [
    ("MODEL.ROI_BOX_HEAD.FC_DIM", 32),
    ("MODEL.FPN.OUT_CHANNELS", 16),
    ("MODEL.C5_CONV.OUT_CHANNELS", 16),
    ("MODEL.ROI_KEYPOINT_HEAD.CONV_DIMS", [16] * 8),
    ("MODEL.ROI_DENSEPOSE_HEAD.CONV_HEAD_DIM", 16),
]
# What of each suite no backbone holds, by its first two words.
ROI = {"box_head", "box_predictor"}
FRESH = {
    "C4": {"proposal_generator", "roi_heads.res5", "roi_heads.box_predictor"},
    "DC5": {"proposal_generator", "backbone.c5_conv", *(f"roi_heads.{name}" for name in ROI)},
    "FPN": {"proposal_generator", "backbone.fpn", *(f"roi_heads.{name}" for name in ROI)},
    "FCN": {"sem_seg_head"},
}
HEADS = {
    "MODEL.MASK_ON": {"roi_heads.mask_head"},
    "MODEL.KEYPOINT_ON": {"roi_heads.keypoint_head"},
    "MODEL.DENSEPOSE_ON": {"roi_heads.densepose_head", "roi_heads.densepose_predictor"},
}
ENGINES = ["torchvision", pytest.param("detectron2", marks=pytest.mark.detectron2)]
RECIPES = [*dict.fromkeys(load_suite(name).recipe for name in groups()["paper"]), "lvis_frozen_bn"]


@pytest.mark.parametrize("engine_name", ENGINES)
@pytest.mark.parametrize("recipe", RECIPES)
def test_every_backbone_tensor_arrives_and_the_fresh_ones_are_as_named(
    recipe: str, engine_name: str, narrow_backbone: Path
) -> None:
    if engine_name == "detectron2" and not detectron2_found():
        pytest.skip("Detectron2 is not importable")
    if engine_name == "detectron2" and recipe == "coco_densepose":
        pytest.importorskip("densepose", reason="the DensePose project is not importable")
    backbone = load_backbone(narrow_backbone)
    cfg = apply_manifest(load_recipe(recipe, NARROW_HEADS), backbone.manifest)
    flat = flatten(cfg)
    row = architecture_of(flat)
    engine = load_engine(engine_name)
    state = engine.state(engine.build(cfg, torch.device("cpu")))
    report = load_backbone_into(state, backbone, cfg, "x")
    frozen = cfg.MODEL.RESNETS.NORM == "FrozenBN"
    assert report.set == report.total == (265 if frozen else 318)
    assert len(report.dropped) == (53 if frozen else 0)
    for name, array in backbone.weights.items():
        if not (frozen and name.endswith("num_batches_tracked")):
            np.testing.assert_array_equal(state[row.placed(name)].numpy(), array)
    assert len(state) == report.set + len(report.fresh)
    expected = FRESH[row.name].union(*(HEADS[key] for key in HEADS if flat[key]))
    assert set(Counter(map(_part, report.fresh))) == expected


def _part(name: str) -> str:
    first, second = name.split(".")[:2]
    if first in ("proposal_generator", "sem_seg_head"):
        return first
    return f"{first}.{'fpn' if second.startswith('fpn_') else second}"
