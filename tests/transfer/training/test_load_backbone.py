"""The proof that every backbone tensor arrives, and the refusal to start when one does not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from converters.backbone import Backbone, load_backbone
from transfer.engines.choose import detectron2_found, load_engine
from transfer.errors import TransferError
from transfer.recipes.architectures import ARCHITECTURES
from transfer.recipes.resolve import apply_manifest, load_recipe
from transfer.training.load_backbone import load_backbone_into

C4 = ARCHITECTURES["C4"]
ENGINES = ["torchvision", pytest.param("detectron2", marks=pytest.mark.detectron2)]


def _built(
    engine_name: str, path: Path, *overrides: tuple[str, Any], recipe: str = "voc_c4"
) -> tuple[Any, nn.Module, Backbone, Any]:
    if engine_name == "detectron2" and not detectron2_found():
        pytest.skip("Detectron2 is not importable")
    backbone = load_backbone(path)
    cfg = apply_manifest(load_recipe(recipe, overrides), backbone.manifest)
    engine = load_engine(engine_name)
    return engine, engine.build(cfg, torch.device("cpu")), backbone, cfg


@pytest.mark.parametrize("engine_name", ENGINES)
def test_all_318_tensors_are_set_and_the_rest_is_fresh_by_name(
    engine_name: str, narrow_backbone: Path
) -> None:
    engine, model, backbone, cfg = _built(engine_name, narrow_backbone)
    before = {name: tensor.clone() for name, tensor in engine.state(model).items()}
    report = load_backbone_into(engine.state(model), backbone, cfg, "x")
    after = engine.state(model)
    assert (report.set, report.total) == (318, 318)
    for name, array in backbone.weights.items():
        np.testing.assert_array_equal(after[C4.placed(name)].numpy(), array)
    fresh = {name for name in before if torch.equal(before[name], after[name])}
    assert set(report.fresh) <= fresh
    assert {name.split(".")[0] for name in report.fresh} == {"proposal_generator", "roi_heads"}
    assert torch.equal(
        after["roi_heads.res5.norm.weight"], torch.ones_like(after["roi_heads.res5.norm.weight"])
    )


@pytest.mark.parametrize("engine_name", ENGINES)
def test_frozen_norms_need_no_counter(engine_name: str, narrow_backbone: Path) -> None:
    engine, model, backbone, cfg = _built(engine_name, narrow_backbone, ("MODEL.RESNETS.NORM", "FrozenBN"))
    report = load_backbone_into(engine.state(model), backbone, cfg, "x")
    assert (report.set, report.total) == (265, 265)
    assert len(report.dropped) == 53


def test_res5_goes_to_the_roi_heads() -> None:
    assert C4.placed("res5.0.conv1.weight") == "roi_heads.res5.0.conv1.weight"
    assert C4.placed("res4.0.conv1.weight") == "backbone.res4.0.conv1.weight"


def test_every_single_missing_or_misshapen_tensor_stops_the_run(narrow_backbone: Path) -> None:
    engine, model, backbone, cfg = _built("torchvision", narrow_backbone)
    state = engine.state(model)
    for name in backbone.weights:
        without = {k: v for k, v in backbone.weights.items() if k != name}
        misshapen = backbone.weights | {name: np.zeros((*backbone.weights[name].shape, 2), np.float32)}
        for weights, word in ((without, "missing"), (misshapen, "wrong shape")):
            with pytest.raises(TransferError, match=f"{word} .*{C4.placed(name)}"):
                load_backbone_into(state, Backbone(weights, backbone.manifest), cfg, "x")
    extra = Backbone(backbone.weights | {"norm.weight": np.ones(2, np.float32)}, backbone.manifest)
    with pytest.raises(TransferError, match="unexpected backbone.norm.weight"):
        load_backbone_into(state, extra, cfg, "x")


@pytest.mark.parametrize("engine_name", ENGINES)
def test_a_segmentor_takes_all_318_tensors_and_starts_its_head_afresh(
    engine_name: str, narrow_backbone: Path
) -> None:
    engine, model, backbone, cfg = _built(engine_name, narrow_backbone, recipe="voc_semantic")
    report = load_backbone_into(engine.state(model), backbone, cfg, "x")
    after = engine.state(model)
    assert (report.set, report.total, report.dropped) == (318, 318, [])
    for name, array in backbone.weights.items():
        np.testing.assert_array_equal(after[f"backbone.{name}"].numpy(), array)
    assert len(report.fresh) == len(after) - 318 == 14
    assert all(name.startswith("sem_seg_head.") for name in report.fresh)
