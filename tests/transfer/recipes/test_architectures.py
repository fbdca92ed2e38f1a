"""An architecture is one row: recipes, engines, planner and miniatures know what is added here at once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from benchmarks.planning.dry_run import show_plan
from benchmarks.planning.foresight import foresee
from benchmarks.planning.inits import Init
from benchmarks.planning.request import Request
from benchmarks.planning.suite_file import read_suite
from converters.backbone import load_backbone
from tests.conftest import NARROW
from transfer.engines.choose import detectron2_found, load_engine
from transfer.errors import TransferError
from transfer.recipes.architectures import ARCHITECTURES, Architecture, architecture_of
from transfer.recipes.facts_of_weights import random_manifest
from transfer.recipes.resnet import RESNET
from transfer.recipes.resolve import apply_manifest, flatten, load_recipe
from transfer.training.load_backbone import load_backbone_into

NAMES = sorted(p.stem for p in Path("transfer/recipes").glob("*.yaml"))
# Standard heads straight on the last stage, at stride 32: parts that the engines have, put together anew.
TOY = Architecture(
    name="C5",
    title="plain C5",
    family=RESNET,
    named={
        "MODEL.META_ARCHITECTURE": ("GeneralizedRCNN",),
        "MODEL.BACKBONE.NAME": ("build_resnet_backbone",),
        "MODEL.ROI_HEADS.NAME": ("StandardROIHeads",),
    },
    neck="none",
    heads="standard",
    demands={
        RESNET.outputs: (["res5"],),
        "MODEL.RPN.IN_FEATURES": (["res5"],),
        "MODEL.ROI_HEADS.IN_FEATURES": (["res5"],),
        "MODEL.MASK_ON": (False, True),
        "MODEL.KEYPOINT_ON": (False,),
        "MODEL.DENSEPOSE_ON": (False,),
    },
    holder="backbone",
    fresh={
        "RPN": r"proposal_generator\..*",
        "box head": r"roi_heads\.box_(head|predictor)\..*",
        "mask head": r"roi_heads\.mask_head\..*",
    },
    norms=(RESNET.norm,),
    miniature="c4",
)
RECIPE = """
_BASE_: voc_c4
MODEL:
  RESNETS: {OUT_FEATURES: [res5]}
  RPN: {IN_FEATURES: [res5]}
  ROI_HEADS: {NAME: StandardROIHeads, IN_FEATURES: [res5]}
  ROI_BOX_HEAD: {NAME: FastRCNNConvFCHead, NUM_FC: 1, FC_DIM: 32, POOLER_RESOLUTION: 3}
"""


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The row, and a recipe of it."""
    monkeypatch.setitem(ARCHITECTURES, TOY.name, TOY)
    path = tmp_path / "toy.yaml"
    path.write_text(RECIPE)
    return path


def test_without_its_row_the_recipe_is_none_of_ours(tmp_path: Path) -> None:
    path = tmp_path / "toy.yaml"
    path.write_text(RECIPE)
    with pytest.raises(TransferError) as refused:
        load_recipe(path)
    assert str(refused.value) == (
        "toy.yaml: GeneralizedRCNN + build_resnet_backbone + StandardROIHeads is no architecture of ours; a "
        "recipe is C4 (Res5ROIHeads), dilated C5, FPN (StandardROIHeads), a linear head on a ResNet, a "
        "linear head on a ViT, a linear head on a ConvNeXt, a linear head on a Swin, UperNet on a ViT, "
        "UperNet on a ConvNeXt, UperNet on a Swin, FCN-16s, ViTDet (simple pyramid on a ViT), FPN on four "
        "taps of a ViT, FPN on a ConvNeXt, FPN on a Swin or a probe of frozen features: take over what "
        "ours say"
    )


def test_with_its_row_it_resolves_and_is_checked(toy: Path) -> None:
    assert architecture_of(flatten(load_recipe(toy))) is TOY
    assert architecture_of(flatten(load_recipe("voc_c4"))).name == "C4", "the others stay what they are"
    wrong = [("MODEL.RPN.IN_FEATURES", "['res4']")]
    message = r"MODEL.RPN.IN_FEATURES is \['res4'\]; the engines honour \['res5'\] in a C5 recipe"
    with pytest.raises(TransferError, match=message):
        load_recipe(toy, wrong)
    with pytest.raises(TransferError, match=r"MODEL.KEYPOINT_ON is True; .* in a C5 recipe"):
        load_recipe(toy, [("MODEL.KEYPOINT_ON", True)])


def _request(root: Path, smoke: bool) -> Request:
    return Request(1, 0, "torchvision", smoke, False, root, 8, [("SOLVER.IMS_PER_BATCH", "8")], root / "out")


@pytest.mark.parametrize("smoke", [False, True])
def test_it_plans(toy: Path, devkit: Path, capsys: pytest.CaptureFixture[str], smoke: bool) -> None:
    suite_file = toy.parent / "mine.yaml"
    suite_file.write_text("name: mine\nrecipe: toy.yaml\nprimary: bbox/AP50\n")
    draft = foresee(read_suite(suite_file), _request(devkit, smoke))
    show_plan([draft], [Init("random", None)])
    printed = capsys.readouterr().out
    assert "plan: 1 cell: 1 new\n" in printed
    assert "backbone 23.51M, RPN " in printed
    assert "FPN" not in printed.partition("recipe ")[0]
    assert ("SOLVER.MAX_ITER: 24000\n" in printed) is not smoke, "--smoke takes the row's miniature"


@pytest.mark.parametrize(
    "engine_name", ["torchvision", pytest.param("detectron2", marks=pytest.mark.detectron2)]
)
def test_it_is_built_and_loads_a_backbone(toy: Path, narrow_backbone: Path, engine_name: str) -> None:
    if engine_name == "detectron2" and not detectron2_found():
        pytest.skip("Detectron2 is not importable")
    backbone, engine = load_backbone(narrow_backbone), load_engine(engine_name)
    cfg = apply_manifest(load_recipe(toy, [("MODEL.MASK_ON", True)]), backbone.manifest)
    state = engine.state(engine.build(cfg, torch.device("cpu")))
    report = load_backbone_into(state, backbone, cfg, "x")
    assert report.set == report.total == len(backbone.weights)
    for name, array in backbone.weights.items():
        np.testing.assert_array_equal(state[f"backbone.{name}"].numpy(), array)
    assert {TOY.part(name) for name in report.fresh} == {"RPN", "box head", "mask head"}


TRAINED = [
    name
    for name in NAMES
    if name not in ("defaults", "c4_bn") and architecture_of(flatten(load_recipe(name))).heads != "probe"
]


@pytest.mark.parametrize("recipe", TRAINED)
def test_each_part_of_a_model_is_the_backbone_or_one_that_its_row_names(recipe: str) -> None:
    """No pattern of a row is left over, and none takes a tensor of another part."""
    cfg = load_recipe(recipe, _all_heads(recipe))
    family = architecture_of(flatten(cfg)).family
    cfg = apply_manifest(cfg, random_manifest(family) | (NARROW if family is RESNET else {}))
    engine, row = load_engine("torchvision"), architecture_of(flatten(cfg))
    with torch.device("meta"):
        state = engine.state(engine.build(cfg, torch.device("meta")))
    parts = {row.part(name) for name in state}
    vit = cfg.MODEL.VIT  # its relative positions are a choice of recipes
    without = set() if vit.REL_POS_TOKENS or vit.REL_BIAS_TOKENS else {"relative positions"}
    assert parts == {"backbone", *row.fresh} - without
    within = (f"{row.holder}.", f"{row.last_stage_in}.") if row.last_stage_in else (f"{row.holder}.",)
    assert all(name.startswith(within) for name in state if row.part(name) == "backbone")


def _all_heads(recipe: str) -> list[tuple[str, Any]]:
    demands = architecture_of(flatten(load_recipe(recipe))).demands
    keys = [key for key in ("MODEL.MASK_ON", "MODEL.KEYPOINT_ON") if True in demands[key]]
    dense = "MODEL.DENSEPOSE_ON"
    if True not in demands[dense]:
        return [(key, True) for key in keys]
    head = "MODEL.ROI_DENSEPOSE_HEAD."
    return [
        *((key, True) for key in (*keys, dense)),
        *(("MODEL.ROI_HEADS.NAME", "DensePoseROIHeads"), (head + "NAME", "DensePoseV1ConvXHead")),
        (head + "DECODER_ON", False),
    ]
