"""Holds the detectors of the two engines equal on a fixed scene: weights, images, truth and proposals."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from yacs.config import CfgNode

from tests.transfer.engines.golden.values import probe, weights
from transfer.engines.base import Engine
from transfer.evaluation.prediction import Prediction
from transfer.recipes.architectures import architecture_of
from transfer.recipes.convnext import CONVNEXT
from transfer.recipes.facts_of_weights import random_manifest
from transfer.recipes.resolve import apply_manifest, flatten, load_recipe
from transfer.recipes.swin import SWIN
from transfer.recipes.vit import VIT
from transfer.samples.sample import Sample

STEPS = 10
# A quarter of the width: the double precision of the ten steps has no fast kernels.
NARROW = {"width_per_group": 16, "stem_out_channels": 16, "res2_out_channels": 64}
NARROW_VIT = {"embed_dim": 64, "depth": 4, "mlp_dim": 256, "num_heads": 2}
# All anchors and proposals are sampled, so no random draw can differ.
OVERRIDES: list[tuple[str, Any]] = [
    ("MODEL.RPN.BATCH_SIZE_PER_IMAGE", 100_000),
    ("MODEL.RPN.POST_NMS_TOPK_TEST", 60),
    ("MODEL.ROI_HEADS.BATCH_SIZE_PER_IMAGE", 100_000),
    ("SOLVER.BASE_LR", 0.02),
    ("SOLVER.WARMUP_ITERS", 2),
    ("TEST.DETECTIONS_PER_IMAGE", 30),  # keeps the golden files small
    # Narrow heads too; a backbone's width does not reach them.
    ("MODEL.C5_CONV.OUT_CHANNELS", 64),
    ("MODEL.FPN.OUT_CHANNELS", 32),
    ("MODEL.ROI_BOX_HEAD.FC_DIM", 64),
    ("MODEL.ROI_MASK_HEAD.CONV_DIM", 32),
    ("MODEL.ROI_KEYPOINT_HEAD.CONV_DIMS", [32] * 8),
    ("MODEL.ROI_DENSEPOSE_HEAD.CONV_HEAD_DIM", 32),
    ("MODEL.SIMPLE_PYRAMID.OUT_CHANNELS", 32),
    ("MODEL.ROI_BOX_HEAD.CONV_DIM", 32),
]
# Of a ViT: images of up to 160 pixels in a square of 10 x 10 tokens, whose windows have to be padded.
OF_VIT: list[tuple[str, Any]] = [
    ("MODEL.VIT.WINDOW", 3),
    ("MODEL.VIT.GLOBAL_BLOCKS", [1, 3]),
    ("MODEL.VIT.REL_POS_TOKENS", 10),
    ("MODEL.VIT.DROP_PATH", 0.0),
    ("MODEL.SIMPLE_PYRAMID.SQUARE_PAD", 160),
    ("MODEL.TAP_PYRAMID.SQUARE_PAD", 160),
    ("INPUT.CROP.SIZE", [160, 160]),
    ("INPUT.MAX_SIZE_TEST", 160),
    ("SOLVER.BASE_LR", 0.001),  # AdamW's
]
# Of four taps beside it, which bring their tables with them.
OF_TAPS: list[tuple[str, Any]] = [
    ("MODEL.VIT.TAPS", [0, 1, 2, 3]),
    ("MODEL.VIT.REL_POS_TOKENS", 0),
    ("MODEL.VIT.REL_BIAS_TOKENS", 10),
]
# Family -> the facts of its narrow network, and overrides; of a ResNet there are none.
OF_FAMILIES: dict[str, tuple[dict[str, Any], list[tuple[str, Any]]]] = {
    VIT.name: (NARROW_VIT, OF_VIT),
    CONVNEXT.name: (
        {"depths": [1, 1, 4, 1], "dims": [16, 32, 64, 128]},
        [("MODEL.CONVNEXT.DROP_PATH", 0.0), ("SOLVER.BASE_LR", 0.001)],
    ),
    SWIN.name: (
        {"embed_dim": 24, "depths": [1, 2, 2, 1], "num_heads": [1, 2, 4, 8]},
        [("MODEL.SWIN.DROP_PATH", 0.0), ("SOLVER.BASE_LR", 0.001)],
    ),
}
# The detector of every suite of detection. Suites that share one differ in schedule and data alone.
DETECTORS = {
    "voc_c4": ["voc_c4", "voc07_c4"],
    "voc_dc5": ["voc_dc5"],
    "coco_c4": ["coco_c4_1x", "coco_c4_2x"],
    "coco_fpn": ["coco_fpn_1x", "coco_fpn_2x", "coco_fpn_6x"],
    "coco_keypoint": ["coco_keypoint"],
    "coco_densepose": ["coco_densepose"],
    "lvis": ["lvis"],
    "lvis_frozen_bn": ["lvis_frozen_bn"],
    "cityscapes_instance": ["cityscapes_instance"],
    "coco_vitdet_b": [
        *("coco_vitdet_b", "coco_vitdet_b_25ep", "coco_vitdet_b_supervised", "coco_vitdet_b_random"),
    ],
    "coco_vitfpn_b": [
        *("coco_vitfpn_b", "coco_vitfpn_b_supervised", "coco_vitfpn_b_random", "coco_vitfpn_b_moco_v3"),
    ],
    "coco_convnext_t_3x": ["coco_convnext_t_3x"],
    "coco_swin_t_3x": ["coco_swin_t_3x"],
    "coco_cascade_vitdet_b": ["coco_cascade_vitdet_b"],
    "lvis_vitdet_b": ["lvis_vitdet_b"],
}


def config(detector: str = "voc_c4", **manifest: Any) -> CfgNode:
    """The detector's recipe, all random draws taken out; `manifest` changes facts of the weights.

    Another family than a ResNet has its own: any at all makes it narrow.
    """
    recipe = DETECTORS[detector][0]
    row = architecture_of(flatten(load_recipe(recipe)))
    family = row.family
    # Made-up weights are unsure among many classes; the threshold is lowered until there is what to compare.
    score = min(0.005, load_recipe(recipe).MODEL.ROI_HEADS.SCORE_THRESH_TEST)
    lr = [("SOLVER.BASE_LR", 0.002)] if detector == "coco_densepose" else []  # its losses are sums
    overrides = [*OVERRIDES, *lr, ("MODEL.ROI_HEADS.SCORE_THRESH_TEST", score)]
    if family.name in OF_FAMILIES:
        narrow, keys = OF_FAMILIES[family.name]
        keys = [*keys, *(OF_TAPS if row.neck == "tap_pyramid" else [])]
        overrides, manifest = [*overrides, *keys], narrow if manifest else {}
    return apply_manifest(load_recipe(recipe, overrides), random_manifest(family) | manifest)


def samples(cfg: CfgNode | None = None) -> list[Sample]:
    """Two smooth images of unlike sizes with two objects each, and what the recipe's heads train on."""
    rng = np.random.default_rng(0)
    boxes = torch.tensor([[5.0, 8.0, 60.0, 70.0], [40.0, 30.0, 90.0, 115.0]])
    classes = torch.tensor([3, 11])
    extra: dict[str, Any] = {}
    if cfg is not None:
        classes = classes % cfg.MODEL.ROI_HEADS.NUM_CLASSES
        extra["polygons"] = [[_ellipse(box)] for box in boxes.numpy()] if cfg.MODEL.MASK_ON else None
        extra["keypoints"] = _keypoints(boxes) if cfg.MODEL.KEYPOINT_ON else None
        extra["densepose"] = [_dense(i) for i in range(2)] if cfg.MODEL.DENSEPOSE_ON else None
    made = []
    for name, (height, width) in {"a": (128, 160), "b": (152, 120)}.items():
        coarse = torch.from_numpy(rng.integers(0, 255, (1, 3, height // 8, width // 8))).float()
        image = nn.functional.interpolate(coarse, (height, width), mode="bilinear")[0].to(torch.uint8)
        made.append(Sample(image, boxes, classes, name, height * 2, width * 3, **extra))
    return made


def _ellipse(box: np.ndarray) -> np.ndarray:
    """(2P,) the polygon of the ellipse that a box holds."""
    angle = np.linspace(0, 2 * np.pi, 16, endpoint=False)
    unit = np.stack([np.cos(angle), np.sin(angle)], axis=1) / 2 + 0.5
    return (box[:2] + unit * (box[2:] - box[:2])).astype(np.float64).flatten()


def _keypoints(boxes: Tensor) -> Tensor:
    """(N, 17, 3): points over each box, one a little outside it, every fourth unlabelled."""
    steps = torch.linspace(-0.05, 0.95, 17)
    unit = torch.stack([steps, steps.flip(0) ** 2], dim=1)
    xy = boxes[:, None, :2] + unit * (boxes[:, None, 2:] - boxes[:, None, :2])
    visible = torch.arange(17) % 4
    return torch.cat([xy, visible.clamp(max=2).expand(len(boxes), 17)[..., None].float()], dim=2)


def _dense(seed: int) -> dict[str, Tensor]:
    """Points and coarse parts in the frame of a box."""
    rng = np.random.default_rng(100 + seed)
    coarse = torch.from_numpy(rng.integers(0, 15, (8, 8))).to(torch.uint8)
    return {
        "x": torch.from_numpy(rng.random(20)).float() * 255,
        "y": torch.from_numpy(rng.random(20)).float() * 255,
        "part": torch.from_numpy(rng.integers(1, 25, 20)),
        "u": torch.from_numpy(rng.random(20)).float(),
        "v": torch.from_numpy(rng.random(20)).float(),
        "coarse": coarse.repeat_interleave(32, 0).repeat_interleave(32, 1),
    }


def proposals() -> list[Tensor]:
    """24 boxes an image: near the objects and anywhere."""
    rng = np.random.default_rng(1)
    made = []
    for sample in samples():
        height, width = sample.image.shape[-2:]
        near = sample.boxes.repeat(6, 1) + torch.from_numpy(rng.standard_normal((12, 4))).float() * 4
        corner = torch.from_numpy(rng.random((12, 2))).float() * 60
        far = torch.cat([corner, corner + 20 + torch.from_numpy(rng.random((12, 2))).float() * 50], dim=1)
        boxes = torch.cat([near, far])
        boxes[:, 0::2].clamp_(0, width)
        boxes[:, 1::2].clamp_(0, height)
        made.append(boxes)
    return made


def fixed_torchvision_proposals(model: nn.Module) -> None:
    """Makes the embedded engine's model train on `proposals()`."""
    model.proposal_generator.predict_proposals = lambda *_: proposals()


def fixed_detectron2_proposals(model: nn.Module) -> None:
    """Makes Detectron2's model train on `proposals()`."""
    from detectron2.structures import Boxes, Instances

    def predict(*_: Any) -> list[Instances]:
        made = []
        for sample, boxes in zip(samples(), proposals(), strict=True):
            instances = Instances(tuple(sample.image.shape[-2:]))
            instances.proposal_boxes = Boxes(boxes)
            instances.objectness_logits = torch.zeros(len(boxes))
            made.append(instances)
        return made

    model.proposal_generator.predict_proposals = predict


def prepared(engine: Engine, cfg: CfgNode) -> nn.Module:
    """The engine's model with the scene's weights."""
    model = engine.build(cfg, torch.device("cpu"))
    engine.load_state(model, weights(engine.state(model)))
    return model


def detections(engine: Engine, cfg: CfgNode) -> list[dict[str, Any]]:
    """Detections of the engine, as JSON: boxes, scores, classes and the recipe's further fields per image."""
    model = prepared(engine, cfg).eval()
    return [_as_json(p) for p in engine.predict(model, samples())]


def _as_json(p: Prediction) -> dict[str, Any]:
    found: dict[str, Any] = {
        "boxes": p.boxes.tolist(),
        "scores": p.scores.tolist(),
        "classes": p.classes.tolist(),
    }
    if p.masks is not None:
        found["masks"] = [{**m, "counts": _text(m["counts"])} for m in p.masks]
    if p.keypoints is not None:
        found["keypoints"] = p.keypoints.tolist()
    if p.densepose is not None:
        found["labels"] = [d["labels"][::6, ::6].tolist() for d in p.densepose]
        found["uv"] = [d["uv"][:, ::18, ::18].tolist() for d in p.densepose]
    return found


def _text(counts: bytes | str) -> str:
    return counts.decode("ascii") if isinstance(counts, bytes) else counts


def first_losses(engine: Engine, cfg: CfgNode, fix_proposals: Any) -> dict[str, float]:
    """The losses before any step."""
    model = prepared(engine, cfg).train()
    fix_proposals(model)
    torch.manual_seed(0)  # of the classes in a federated loss
    with torch.no_grad():
        return {name: float(loss) for name, loss in engine.losses(model, samples(cfg)).items()}


def ten_steps(engine: Engine, cfg: CfgNode, fix_proposals: Any) -> dict[str, list[float]]:
    """Entries of every tensor of the narrow net after ten steps in double precision.

    In single precision two orders of summation already differ by a percent in some gradients (a ReLU flips
    here and there, and the extra norm cancels most of the gradient), within one engine as between two.
    """
    model = prepared(engine, cfg).train().double()
    fix_proposals(model)
    torch.manual_seed(0)
    learn(engine, cfg, model, samples(cfg))
    return {name: probe(t) for name, t in engine.state(model).items()}


def learn(engine: Engine, cfg: CfgNode, model: nn.Module, batch: list[Sample]) -> None:
    """Takes ten steps of the recipe's solver on one batch."""
    optimizer, scheduler = engine.solver(cfg, model)
    for _ in range(STEPS):
        losses = engine.losses(model, batch)
        optimizer.zero_grad()
        torch.stack(list(losses.values())).sum().backward()
        optimizer.step()
        scheduler.step()


def everything(engine: Engine, detector: str, fix_proposals: Any) -> dict[str, Any]:
    """All that is compared, as JSON; at full width for the first detector alone, which is slow enough."""
    narrow = config(detector, **NARROW)
    cfg = config(detector) if detector == "voc_c4" else narrow
    return {
        "detections": detections(engine, cfg),
        "losses": first_losses(engine, cfg, fix_proposals),
        "parameters": ten_steps(engine, narrow, fix_proposals),
    }
