"""FPN on the four maps of a ConvNeXt and of a Swin: trained whole by the embedded engine, equal on both."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from tests.transfer.engines.both_engines import compare_pyramids
from tests.transfer.engines.golden import detection
from transfer.engines.choose import detectron2_found, load_engine
from transfer.recipes.architectures import architecture_of
from transfer.recipes.convnext import CONVNEXT
from transfer.recipes.facts_of_weights import random_manifest
from transfer.recipes.family import Family
from transfer.recipes.resolve import apply_manifest, flatten, load_recipe
from transfer.recipes.swin import SWIN

CPU = torch.device("cpu")
SMALL = {
    CONVNEXT.name: {"depths": [1, 1, 2, 1], "dims": [16, 32, 64, 128]},
    SWIN.name: {"embed_dim": 24, "depths": [1, 1, 2, 1], "num_heads": [1, 2, 4, 8]},
}
RECIPE = """
_BASE_: coco_fpn_1x
MODEL:
  BACKBONE: {{NAME: build_{name}_fpn_backbone}}
  {section}: {{OUT_STAGES: [1, 2, 3, 4], NORM_MAPS: true}}
  FPN: {{IN_FEATURES: [stage1, stage2, stage3, stage4], NORM: ''}}
SOLVER: {{OPTIMIZER: adamw, BASE_LR: 0.0001, LAYER_DECAY: {decay}}}
"""


@pytest.fixture(params=[CONVNEXT, SWIN], ids=lambda family: family.name)
def cfg(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    """A user's recipe: our FPN recipe with another family below."""
    family: Family = request.param
    decay = 0.95 if family is CONVNEXT else 1.0
    names = {"name": family.in_manifest, "section": family.section.removeprefix("MODEL."), "decay": decay}
    (tmp_path / "mine.yaml").write_text(RECIPE.format(**names))
    manifest = random_manifest(family) | SMALL[family.name]
    return apply_manifest(load_recipe(tmp_path / "mine.yaml", detection.OVERRIDES), manifest)


def test_every_parameter_is_trained_at_its_rate(cfg: Any) -> None:
    engine, row = load_engine("torchvision"), architecture_of(flatten(cfg))
    model = engine.build(cfg, CPU).train()
    parts = {row.part(name) for name in engine.state(model)}
    assert parts == {"backbone", *row.fresh}
    sum(engine.losses(model, detection.samples(cfg)).values()).backward()
    idle = [name for name, p in model.named_parameters() if p.requires_grad and p.grad is None]
    assert not idle, "a reducer of gradients would wait for them"
    rates = {group["lr"] for group in engine.solver(cfg, model)[0].param_groups}
    assert len(rates) == (6 if cfg.SOLVER.LAYER_DECAY < 1 else 1)


@pytest.mark.detectron2
def test_maps_and_rates_are_equal_on_both_engines(cfg: Any) -> None:
    if not detectron2_found():
        pytest.skip("Detectron2 is not importable")
    compare_pyramids(cfg)
