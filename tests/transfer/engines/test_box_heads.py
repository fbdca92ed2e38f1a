"""Sigmoids, federated losses and cascades: against rules by hand, and live against Detectron2's layer."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from transfer.datasets.registry import load_dataset
from transfer.datasets.synthetic.make import make_synthetic
from transfer.engines.choose import detectron2_found, load_engine
from transfer.engines.federated import class_weights
from transfer.engines.torchvision.backbones.layers import scaled_gradient
from transfer.engines.torchvision.heads.box import BoxSettings, Sampled, box_losses
from transfer.engines.torchvision.heads.class_scores import class_loss, class_scores, federated_classes
from transfer.errors import TransferError
from transfer.recipes.facts_of_weights import random_manifest
from transfer.recipes.resolve import apply_manifest, load_recipe
from transfer.recipes.vit import VIT
from transfer.run import build_model

CLASSES = 7
BOX = "MODEL.ROI_BOX_HEAD."
SMALL = {"embed_dim": 16, "depth": 2, "mlp_dim": 32, "num_heads": 1}


def _logits(rows: int = 5) -> Tensor:
    return torch.randn(rows, CLASSES + 1, generator=torch.manual_seed(1)) * 3


def test_the_sigmoid_loss_is_a_sum_over_the_kept_classes() -> None:
    logits, classes, kept = _logits(), torch.tensor([2, 7, 0, 2, 7]), torch.tensor([0, 2, 5, 7])
    for given, columns in ((None, range(CLASSES)), (kept, (0, 2, 5))):
        by_hand = 0.0
        for row, kind in zip(logits.tolist(), classes.tolist(), strict=True):
            for k in columns:
                p = 1 / (1 + math.exp(-row[k]))
                by_hand -= math.log(p if k == kind else 1 - p)
        assert float(class_loss(logits, classes, True, given)) == pytest.approx(by_hand / 5, rel=1e-5)
    scores = class_scores(logits, sigmoid=True)
    assert scores.shape == (5, CLASSES)
    assert float(scores[1, 3]) == pytest.approx(1 / (1 + math.exp(-float(logits[1, 3]))), rel=1e-5)


@pytest.mark.parametrize("sigmoid", [False, True])
def test_no_regions_have_no_loss(sigmoid: bool) -> None:
    logits = _logits(0).requires_grad_()
    loss = class_loss(logits, torch.zeros(0, dtype=torch.int64), sigmoid)
    loss.backward()
    assert float(loss.detach()) == 0


def test_a_federated_loss_keeps_what_a_batch_holds_and_draws_the_rest_by_chance() -> None:
    weights = torch.tensor([1.0, 1.0, 4.0, 0.0, 1.0, 2.0, 2.0])
    classes = torch.tensor([4, CLASSES, 4, CLASSES])
    torch.manual_seed(0)
    drawn = [federated_classes(classes, weights, 3).tolist() for _ in range(2000)]
    for kept in drawn:
        assert kept[:2] == [4, CLASSES], "what is there, the background among it"
        assert len(kept) == 3
    counts = torch.bincount(torch.tensor([kept[2] for kept in drawn]), minlength=CLASSES + 1) / 2000
    expected = torch.tensor([1.0, 1, 4, 0, 0, 2, 2, 0]) / 10
    torch.testing.assert_close(counts, expected, atol=0.04, rtol=0)
    assert counts[3] == counts[4] == counts[CLASSES] == 0
    everything = torch.arange(CLASSES + 1)
    assert federated_classes(everything, weights, 3).tolist() == everything.tolist()


def test_one_box_for_all_classes_is_regressed_whatever_the_class() -> None:
    boxes = torch.tensor([[0.0, 0, 10, 10], [5, 5, 20, 20]])
    settings = BoxSettings(CLASSES, 0.5, 8, 0.25, True, 0.05, 0.5, 10, (10.0, 10.0, 5.0, 5.0), 0.0)
    sampled = [Sampled(boxes, boxes + 1, torch.tensor([3, CLASSES]), torch.tensor([0, 0]), 1)]
    deltas = torch.zeros(2, 1, 4)
    found = box_losses(_logits(2), deltas, sampled, settings)
    assert float(found["loss_box_reg"]) == pytest.approx((1 + 1) / 2, rel=1e-5)  # a tenth of a side, times 10
    same = box_losses(_logits(2), deltas.expand(2, CLASSES, 4), sampled, settings)
    assert same["loss_box_reg"] == found["loss_box_reg"]


def test_a_stage_of_a_cascade_sends_its_share_of_the_gradient() -> None:
    x = torch.ones(3, requires_grad=True)
    scaled_gradient(x * 2, 1 / 3).sum().backward()
    torch.testing.assert_close(x.grad, torch.full((3,), 2 / 3))


def test_chances_are_counts_of_images() -> None:
    images = [[0, 0, 2], [2], [], [2, 5]]
    found = class_weights(images, CLASSES, 0.5)
    torch.testing.assert_close(found, torch.tensor([1, 1, 3, 1, 1, 1, 1]).float().sqrt())


@pytest.mark.detectron2
@pytest.mark.parametrize("number", [CLASSES - 2, 2])
def test_the_federated_loss_is_detectron2s(number: int) -> None:
    if not detectron2_found():
        pytest.skip("Detectron2 is not importable")
    from detectron2.data import MetadataCatalog
    from detectron2.data.detection_utils import get_fed_loss_cls_weights
    from detectron2.layers import ShapeSpec
    from detectron2.modeling.box_regression import Box2BoxTransform
    from detectron2.modeling.roi_heads import FastRCNNOutputLayers

    counts = [9, 1, 4, 2, 30, 7, 3]
    name = f"counted_{number}"
    MetadataCatalog.get(name).class_image_count = [
        {"id": k + 1, "image_count": count} for k, count in enumerate(counts)
    ]
    images = [[k] for k, count in enumerate(counts) for _ in range(count)]
    weights = class_weights(images, CLASSES, 0.5)
    torch.testing.assert_close(weights, get_fed_loss_cls_weights(name, 0.5))
    layer = FastRCNNOutputLayers(
        ShapeSpec(channels=4),
        box2box_transform=Box2BoxTransform((10, 10, 5, 5)),
        num_classes=CLASSES,
        use_fed_loss=True,
        use_sigmoid_ce=True,
        get_fed_loss_cls_weights=lambda: get_fed_loss_cls_weights(name, 0.5),
        fed_loss_num_classes=number,
    )
    logits, classes = _logits(20), torch.tensor([1, 3, *[CLASSES] * 18])
    for seed in range(5):
        torch.manual_seed(seed)
        wanted = layer.sigmoid_cross_entropy_loss(logits, classes)
        torch.manual_seed(seed)
        kept = federated_classes(classes, weights, number)
        torch.testing.assert_close(class_loss(logits, classes, True, kept), wanted)


@pytest.mark.parametrize("name", ["torchvision", pytest.param("detectron2", marks=pytest.mark.detectron2)])
def test_a_model_is_told_how_many_images_have_each_class(name: str, tmp_path: Path) -> None:
    if name == "detectron2" and not detectron2_found():
        pytest.skip("Detectron2 is not importable")
    make_synthetic(["lvis_v1_train"], tmp_path, train_images=6, test_images=1, image_size=64)
    narrow = [("MODEL.VIT.GLOBAL_BLOCKS", [1]), (f"{BOX}FC_DIM", 8), (f"{BOX}CONV_DIM", 8)]
    cfg = apply_manifest(load_recipe("lvis_cascade_vitdet_b", narrow), random_manifest(VIT) | SMALL)
    engine, training = load_engine(name), load_dataset("lvis_v1_train", tmp_path)
    model = build_model(engine, cfg, [training], torch.device("cpu"))
    document = json.loads((tmp_path / "lvis" / "lvis_v1_train.json").read_text())
    present = {(a["image_id"], a["category_id"]) for a in document["annotations"]}
    wanted = torch.ones(1203)
    for category in {kind for _, kind in present}:
        wanted[category - 1] = len([1 for _, kind in present if kind == category]) ** 0.5
    assert wanted.max() > 1
    for stage in range(3):
        found = engine.state(model)[f"roi_heads.box_predictor.{stage}.fed_loss_cls_weights"]
        torch.testing.assert_close(found, wanted)


@pytest.mark.parametrize(
    ("recipe", "keys", "message"),
    [
        (
            "coco_vitdet_b",
            {"MODEL.ROI_BOX_CASCADE_HEAD.IOUS": "[0.5]"},
            r"CASCADE_HEAD.IOUS is \[0.5\]; .*, or MODEL.ROI_HEADS.NAME CascadeROIHeads",
        ),
        (
            "coco_vitdet_b",
            {f"{BOX}FED_LOSS_NUM_CLASSES": 9},
            "FED_LOSS_NUM_CLASSES is 9; expected 50, or .*USE_FED_LOSS True",
        ),
        (
            "coco_vitdet_b",
            {f"{BOX}USE_FED_LOSS": True},
            "USE_SIGMOID_CE is False; expected True with .*USE_FED_LOSS",
        ),
        (
            "lvis_vitdet_b",
            {"MODEL.ROI_HEADS.NUM_CLASSES": 49},
            "FED_LOSS_NUM_CLASSES is 50; expected no more than .*, 49",
        ),
        (
            "coco_vitdet_b",
            {"MODEL.ROI_HEADS.NAME": "CascadeROIHeads"},
            "AGNOSTIC_BBOX_REG is False; expected",
        ),
        (
            "coco_cascade_vitdet_b",
            {"MODEL.ROI_HEADS.IOU_THRESHOLDS": "[0.6]"},
            r"IOUS is \[0.5, 0.6, 0.7\]; expected a first one that is .*, \[0.6\]",
        ),
        (
            "coco_cascade_vitdet_b",
            {"MODEL.ROI_BOX_CASCADE_HEAD.IOUS": "[0.5, 0.6]"},
            "BBOX_REG_WEIGHTS is .*; expected 2 lists",
        ),
        (
            "coco_fpn_1x",
            {"MODEL.ROI_HEADS.NAME": "CascadeROIHeads"},
            "is no architecture of ours",
        ),
    ],
)
def test_box_heads_that_contradict_themselves_are_refused(
    recipe: str, keys: dict[str, Any], message: str
) -> None:
    with pytest.raises(TransferError, match=message):
        load_recipe(recipe, list(keys.items()))
