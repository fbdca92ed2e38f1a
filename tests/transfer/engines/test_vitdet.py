"""ViTDet against Detectron2's own lazy configuration, live; golden numbers of it are in `test_parity`."""

from __future__ import annotations

import importlib.util
import logging
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch

from tests.transfer.engines.golden import detection
from tests.transfer.engines.golden.values import weights
from transfer.engines.choose import detectron2_found, load_engine
from transfer.errors import TransferError
from transfer.recipes.facts_of_weights import random_manifest
from transfer.recipes.resolve import apply_manifest, load_recipe
from transfer.recipes.vit import VIT

SCENE = "coco_vitdet_b"
CPU = torch.device("cpu")
# What Detectron2's ViT cannot express, one fact a file; each goes into ours, wrapped.
FOREIGN: list[dict[str, Any]] = [
    {"layer_scale": True},
    {"registers": 4},
    {"rope": "dinov3", "pos_tokens": 0, "pos_prefix": 0},
    {"activation": "quick_gelu", "pre_norm": True},
]


RELEASED = {  # recipe -> the beginning of the path of its configuration
    "coco_vitdet_b": "COCO/mask_rcnn",
    "coco_cascade_vitdet_b": "COCO/cascade_mask_rcnn",
    "lvis_vitdet_b": "LVIS/mask_rcnn",
    "lvis_cascade_vitdet_b": "LVIS/cascade_mask_rcnn",
}


def _needs_detectron2() -> None:
    if importlib.util.find_spec("detectron2") is None:
        pytest.skip("Detectron2 is not importable; test_parity compared the stored numbers")


@cache
def _both() -> tuple[dict[str, Any], dict[str, Any]]:
    """(ours, theirs) of the scene; theirs is the model that their configuration makes."""
    from tests.transfer.engines.lazy_vitdet import LazyEngine

    ours = detection.everything(load_engine("torchvision"), SCENE, detection.fixed_torchvision_proposals)
    return ours, detection.everything(LazyEngine(), SCENE, detection.fixed_detectron2_proposals)


def config(**facts: Any) -> Any:
    manifest = random_manifest(VIT) | detection.NARROW_VIT | facts
    unsure = ("MODEL.ROI_HEADS.SCORE_THRESH_TEST", 0.005)
    return apply_manifest(load_recipe(SCENE, [*detection.OVERRIDES, *detection.OF_VIT, unsure]), manifest)


@pytest.mark.detectron2
def test_features_are_those_of_detectron2s_configuration() -> None:
    _needs_detectron2()
    from tests.transfer.engines.lazy_vitdet import LazyEngine

    cfg, found = config(), []
    state: dict[str, Any] = {}
    for engine in (load_engine("torchvision"), LazyEngine()):
        model = engine.build(cfg, CPU).eval()
        state = state or weights(engine.state(model))
        engine.load_state(model, state)
        with torch.no_grad():
            found.append(model.backbone(torch.randn(2, 3, 160, 160, generator=torch.manual_seed(0))))
    assert list(found[0]) == list(found[1]) == ["p2", "p3", "p4", "p5", "p6"]
    for name, maps in found[0].items():
        torch.testing.assert_close(maps, found[1][name], atol=1e-5, rtol=0)


@pytest.mark.detectron2
@pytest.mark.slow
def test_detections_losses_and_ten_adamw_steps_are_those_of_detectron2s_configuration() -> None:
    _needs_detectron2()
    ours, theirs = _both()
    for mine, wanted in zip(ours["detections"], theirs["detections"], strict=True):
        order, other = (np.lexsort((d["classes"], np.round(d["scores"], 4))) for d in (mine, wanted))
        assert len(order) == len(other) >= 20
        np.testing.assert_allclose(
            np.array(mine["boxes"])[order], np.array(wanted["boxes"])[other], atol=0.01
        )
    assert ours["losses"].keys() == theirs["losses"].keys()
    for name, loss in ours["losses"].items():
        assert loss == pytest.approx(theirs["losses"][name], rel=1e-4), name
    more = {name for name in ours["parameters"] if name not in theirs["parameters"]}
    assert more == {"backbone.net.cls_token"}, "their ViT has no use for it, and forgets it"
    for name, wanted in theirs["parameters"].items():
        difference = np.linalg.norm(np.subtract(ours["parameters"][name], wanted))
        assert difference <= 1e-6 * np.linalg.norm(wanted), name


@pytest.mark.detectron2
@pytest.mark.parametrize("depth", [4, 12])
def test_every_parameter_has_detectron2s_rate_and_decay(depth: int) -> None:
    _needs_detectron2()
    from tests.transfer.engines import lazy_vitdet

    cfg = config(depth=depth)
    lazy = lazy_vitdet.build(cfg)
    wanted = lazy_vitdet.rates(lazy, lazy_vitdet.optimizer(cfg, lazy))
    assert len(set(wanted.values())) > 2 * depth
    for name in ("torchvision", "detectron2"):
        engine = load_engine(name)
        model = engine.build(cfg, CPU)
        found = lazy_vitdet.rates(model, engine.solver(cfg, model)[0])
        assert found.keys() == wanted.keys(), "what is frozen is in no group"
        for parameter, hyper in found.items():
            assert hyper == pytest.approx(wanted[parameter], rel=1e-12), (name, parameter)


@pytest.mark.detectron2
@pytest.mark.parametrize("name", RELEASED)
def test_the_recipe_is_the_authors_configuration(name: str) -> None:
    _needs_detectron2()
    from tests.transfer.engines.lazy_vitdet import load

    lazy, recipe = load(f"projects/ViTDet/configs/{RELEASED[name]}_vitdet_b_100ep.py"), load_recipe(name)
    _same_box_heads(lazy, recipe)
    solver, net = recipe.SOLVER, lazy.model.backbone.net
    assert lazy.train.max_iter == solver.MAX_ITER
    assert list(lazy.lr_multiplier.scheduler.milestones) == solver.STEPS
    warm = (lazy.lr_multiplier.warmup_length * solver.MAX_ITER, lazy.lr_multiplier.warmup_factor)
    assert warm == pytest.approx((solver.WARMUP_ITERS, solver.WARMUP_FACTOR))
    assert (lazy.optimizer.lr, lazy.optimizer.weight_decay) == (solver.BASE_LR, solver.WEIGHT_DECAY)
    assert list(lazy.optimizer.betas) == solver.BETAS
    assert lazy.optimizer.params.lr_factor_func.keywords["lr_decay_rate"] == solver.LAYER_DECAY
    assert list(lazy.optimizer.params.overrides) == solver.NO_WEIGHT_DECAY
    assert lazy.dataloader.train.total_batch_size == solver.IMS_PER_BATCH
    _, scale, crop = lazy.dataloader.train.mapper.augmentations
    assert [scale.min_scale, scale.max_scale] == recipe.INPUT.SCALE_RANGE
    assert [scale.target_height, scale.target_width] == list(crop.crop_size) == recipe.INPUT.CROP.SIZE
    assert net.drop_path_rate == recipe.MODEL.VIT.DROP_PATH
    assert net.window_size == recipe.MODEL.VIT.WINDOW
    everywhere = set(range(12)) - set(net.window_block_indexes)
    assert sorted(everywhere) == recipe.MODEL.VIT.GLOBAL_BLOCKS
    assert net.img_size // net.patch_size == recipe.MODEL.VIT.REL_POS_TOKENS
    assert lazy.model.backbone.square_pad == recipe.MODEL.SIMPLE_PYRAMID.SQUARE_PAD
    (test,) = lazy.dataloader.test.mapper.augmentations
    assert test.short_edge_length == test.max_size == recipe.INPUT.MIN_SIZE_TEST == recipe.INPUT.MAX_SIZE_TEST


def _same_box_heads(lazy: Any, recipe: Any) -> None:
    """Compares data, classes, losses and stages."""
    heads, box, train = lazy.model.roi_heads, recipe.MODEL.ROI_BOX_HEAD, lazy.dataloader.train
    assert [train.dataset.names] == recipe.DATASETS.TRAIN
    assert [lazy.dataloader.test.dataset.names] == recipe.DATASETS.TEST
    assert heads.num_classes == recipe.MODEL.ROI_HEADS.NUM_CLASSES
    repeats = train.get("sampler", {}).get("repeat_factors", {}).get("repeat_thresh", 0.0)
    assert repeats == recipe.DATALOADER.REPEAT_THRESHOLD
    cascade = recipe.MODEL.ROI_HEADS.NAME == "CascadeROIHeads"
    predictors = heads.box_predictors if cascade else [heads.box_predictor]
    matchers = heads.proposal_matchers if cascade else [heads.proposal_matcher]
    box_heads = heads.box_heads if cascade else [heads.box_head]
    stages = recipe.MODEL.ROI_BOX_CASCADE_HEAD
    weights = stages.BBOX_REG_WEIGHTS if cascade else [box.BBOX_REG_WEIGHTS]
    overlaps = stages.IOUS if cascade else recipe.MODEL.ROI_HEADS.IOU_THRESHOLDS
    assert [list(p.box2box_transform.weights) for p in predictors] == weights
    assert [t for m in matchers for t in m.thresholds] == overlaps
    for predictor, head in zip(predictors, box_heads, strict=True):
        assert predictor.get("cls_agnostic_bbox_reg", False) == box.CLS_AGNOSTIC_BBOX_REG == cascade
        assert predictor.get("use_sigmoid_ce", False) == box.USE_SIGMOID_CE
        assert predictor.get("use_fed_loss", False) == box.USE_FED_LOSS
        assert predictor.test_score_thresh == recipe.MODEL.ROI_HEADS.SCORE_THRESH_TEST
        assert predictor.get("test_topk_per_image", 100) == recipe.TEST.DETECTIONS_PER_IMAGE
        assert (list(head.conv_dims), list(head.fc_dims)) == ([box.CONV_DIM] * box.NUM_CONV, [box.FC_DIM])
        assert head.conv_norm == box.NORM


@pytest.mark.detectron2
@pytest.mark.parametrize("facts", FOREIGN, ids=lambda facts: "+".join(facts))
def test_a_file_that_detectron2s_vit_cannot_express_goes_into_ours(
    facts: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    _needs_detectron2()
    cfg, found = config(**facts), []
    state: dict[str, Any] = {}
    with caplog.at_level(logging.INFO, "transfer.engines.detectron2.vit"):
        for name in ("torchvision", "detectron2"):
            engine = load_engine(name)
            model = engine.build(cfg, CPU).eval()
            state = state or weights(engine.state(model))
            engine.load_state(model, state)
            found.append([p.boxes for p in engine.predict(model, detection.samples())])
    assert "our ViT instead of Detectron2's, which has no " in caplog.text
    assert next(iter(facts)).upper() in caplog.text
    for mine, theirs in zip(*found, strict=True):
        assert len(mine) == len(theirs) > 0
        np.testing.assert_allclose(mine, theirs, atol=0.01)


@pytest.mark.parametrize("name", ["torchvision", pytest.param("detectron2", marks=pytest.mark.detectron2)])
def test_a_frozen_backbone_learns_nothing_and_stays_in_evaluation(name: str) -> None:
    if name == "detectron2" and not detectron2_found():
        pytest.skip("Detectron2 is not importable")
    manifest = random_manifest(VIT) | detection.NARROW_VIT
    keys = [*detection.OVERRIDES, *detection.OF_VIT, ("MODEL.VIT.REL_POS_TOKENS", 0)]
    cfg = apply_manifest(load_recipe("coco_vitdet_b_frozen", keys), manifest)
    engine = load_engine(name)
    model = engine.build(cfg, CPU).train()
    assert not any(module.training for module in model.backbone.net.modules())
    before = {n: t.clone() for n, t in engine.state(model).items()}
    optimizer, _ = engine.solver(cfg, model)
    sum(engine.losses(model, detection.samples(cfg)).values()).backward()
    optimizer.step()
    moved = {n for n, t in engine.state(model).items() if not torch.equal(t, before[n])}
    assert not {n for n in moved if n.startswith("backbone.net.")}
    assert "backbone.simfp_2.4.weight" in moved


def test_patches_of_another_size_are_refused_by_name() -> None:
    """14 instead of 16 with the strides of 16 is dinov2 #350: it trains, and is wrong."""
    with pytest.raises(TransferError, match=r"MODEL.VIT.PATCH_SIZE is 14; the engines honour 16 in a ViTDet"):
        config(patch_size=14)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("INPUT.MAX_SIZE_TEST", 1333, "MAX_SIZE_TEST is 1333; expected no side above the square of .* 1024"),
        (
            "INPUT.CROP.SIZE",
            "[1536, 1536]",
            r"CROP.SIZE is \[1536, 1536\]; expected no side above the square",
        ),
        ("INPUT.CROP.ENABLED", False, "CROP.ENABLED is False; INPUT.SCALE_RANGE needs True"),
        ("INPUT.SCALE_RANGE", "[]", r"SCALE_RANGE \[\] and CROP.SIZE .*; expected \[low, high\] ratios"),
        (
            "INPUT.CROP.TYPE",
            "relative_range",
            "CROP.TYPE is 'relative_range'; INPUT.SCALE_RANGE needs 'absolute'",
        ),
        ("MODEL.RPN.CONV_DIMS", "[64]", r"CONV_DIMS is \[64\]; the engines honour \[-1\] or \[-1, -1\]"),
        ("SOLVER.LAYER_DECAY", 0.0, "LAYER_DECAY is 0.0; expected a number above 0, up to 1"),
    ],
)
def test_values_that_contradict_each_other_are_refused(key: str, value: Any, message: str) -> None:
    with pytest.raises(TransferError, match=message):
        load_recipe(SCENE, [(key, value)])


def test_layer_decay_of_a_family_without_a_rule_is_refused() -> None:
    with pytest.raises(TransferError, match="a ResNet has no rule for it: leave it at 1.0, or take a ViT or"):
        load_recipe("coco_fpn_1x", [("SOLVER.LAYER_DECAY", 0.9)])
