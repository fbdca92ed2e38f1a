"""The parameter line of a dry run: numbers by hand and of both engines' models."""

from __future__ import annotations

import json

import pytest
import torch

from benchmarks.planning.dry_run import _counted, _parameters
from benchmarks.planning.suite import groups, load_suite
from transfer.engines.choose import detectron2_found, load_engine
from transfer.recipes.architectures import architecture_of
from transfer.recipes.resolve import flatten, load_recipe

# As counted by formulas from the widths of the layers, before the models themselves were counted.
_PYRAMID = "backbone 23.51M, FPN 3.35M, RPN 0.59M"
LINES = {
    "voc_c4": "33.23M, trainable 33.23M: backbone 23.51M, extra norm 0.00M, RPN 9.52M, box head 0.21M",
    "voc_dc5": "62.19M, trainable 62.19M: backbone 23.51M, C5 conv 9.44M, RPN 2.40M, box head 26.84M",
    "voc07_c4": "33.23M, trainable 33.23M: backbone 23.51M, extra norm 0.00M, RPN 9.52M, box head 0.21M",
    "coco_fpn_1x": f"44.40M, trainable 44.40M: {_PYRAMID}, box head 14.31M, mask head 2.64M",
    "coco_fpn_2x": f"44.40M, trainable 44.40M: {_PYRAMID}, box head 14.31M, mask head 2.64M",
    "coco_fpn_6x": f"44.40M, trainable 44.40M: {_PYRAMID}, box head 14.31M, mask head 2.64M",
    "coco_c4_1x": (
        "35.97M, trainable 35.97M: "
        "backbone 23.51M, extra norm 0.00M, RPN 9.52M, box head 0.82M, mask head 2.12M"
    ),
    "coco_c4_2x": (
        "35.97M, trainable 35.97M: "
        "backbone 23.51M, extra norm 0.00M, RPN 9.52M, box head 0.82M, mask head 2.12M"
    ),
    "coco_keypoint": f"59.19M, trainable 59.19M: {_PYRAMID}, box head 13.90M, keypoint head 17.84M",
    "coco_densepose": f"59.79M, trainable 59.79M: {_PYRAMID}, box head 13.90M, DensePose head 18.44M",
    "lvis": f"50.59M, trainable 50.59M: {_PYRAMID}, box head 20.20M, mask head 2.94M",
    "cityscapes_instance": f"44.01M, trainable 44.01M: {_PYRAMID}, box head 13.94M, mask head 2.62M",
    "cityscapes_semantic": "28.82M, trainable 28.82M: backbone 23.51M, head 5.31M",
    "voc_semantic": "28.82M, trainable 28.82M: backbone 23.51M, head 5.31M",
}
SUITES = groups()["paper"]


@pytest.mark.parametrize("suite", SUITES)
def test_the_lines_of_our_suites(suite: str) -> None:
    assert _parameters(flatten(load_recipe(load_suite(suite).recipe))) == f"parameters {LINES[suite]}"


def test_the_published_size_of_a_resnet50() -> None:
    """torchvision's ResNet-50 has 25,557,032 parameters, 2,049,000 of them in the classifier."""
    line = _parameters(flatten(load_recipe("coco_fpn_1x")))
    assert f"backbone {(25_557_032 - 2_049_000) / 1e6:.2f}M" in line


@pytest.mark.parametrize(
    ("key", "value", "part"),
    [
        ("MODEL.BACKBONE.FREEZE_AT", 1, "trainable 33.22M: backbone 23.51M"),
        ("MODEL.BACKBONE.FREEZE_AT", 2, "trainable 33.01M: backbone 23.51M"),
        ("MODEL.RESNETS.NORM", "FrozenBN", "backbone 23.45M, extra norm 0.00M"),
    ],
)
def test_what_is_frozen_does_not_train_and_a_frozen_norm_has_no_parameters(
    key: str, value: object, part: str
) -> None:
    assert part in _parameters(flatten(load_recipe("voc_c4", [(key, value)])))


@pytest.mark.detectron2
@pytest.mark.parametrize("recipe", [*dict.fromkeys(load_suite(s).recipe for s in SUITES), "lvis_frozen_bn"])
def test_detectron2s_models_have_as_many(recipe: str) -> None:
    if not detectron2_found():
        pytest.skip("Detectron2 is not importable")
    if recipe == "coco_densepose":
        pytest.importorskip("densepose", reason="the DensePose project is not importable")
    cfg = load_recipe(recipe)
    flat = flatten(cfg)
    row, engine = architecture_of(flat), load_engine("detectron2")
    with torch.device("meta"):
        model = engine.build(cfg, torch.device("meta"))
    counted: dict[str, tuple[int, int]] = {}
    for name, parameter in model.named_parameters():
        everything, trained = counted.get(row.part(name), (0, 0))
        number = parameter.numel()
        counted[row.part(name)] = everything + number, trained + number * parameter.requires_grad
    ours = _counted(json.dumps(flat))
    assert {part: numbers for part, numbers in ours.items() if numbers[0]} == counted
