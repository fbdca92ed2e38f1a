"""Real Detectron2 models for the tests marked `detectron2`: C4 with MoCo's extra norm, and FPN."""

from __future__ import annotations

from typing import Any

# name -> (settings of the architecture, norm)
C4: list[Any] = ["MODEL.BACKBONE.NAME", "build_resnet_backbone", "MODEL.ROI_HEADS.NAME", "Res5ROIHeads"]
FPN: list[Any] = [
    *("MODEL.BACKBONE.NAME", "build_resnet_fpn_backbone"),
    *("MODEL.RESNETS.OUT_FEATURES", ["res2", "res3", "res4", "res5"]),
    *("MODEL.FPN.IN_FEATURES", ["res2", "res3", "res4", "res5"]),
    *("MODEL.ANCHOR_GENERATOR.SIZES", [[32], [64], [128], [256], [512]]),
    *("MODEL.RPN.IN_FEATURES", ["p2", "p3", "p4", "p5", "p6"]),
    *("MODEL.ROI_HEADS.NAME", "StandardROIHeads"),
    *("MODEL.ROI_HEADS.IN_FEATURES", ["p2", "p3", "p4", "p5"]),
    *("MODEL.ROI_BOX_HEAD.NAME", "FastRCNNConvFCHead", "MODEL.ROI_BOX_HEAD.NUM_FC", 2),
]
MODELS = {
    "c4": (C4, "BN"),
    "fpn": (FPN, "BN"),
    "c4_frozen": (C4, "FrozenBN"),
    "fpn_frozen": (FPN, "FrozenBN"),
}


def build(name: str, stride_in_1x1: bool = False, divide: int = 1) -> Any:
    """The model on the CPU with fresh weights; `divide` narrows the backbone."""
    import torch
    from detectron2.config import get_cfg
    from detectron2.modeling import build_model

    settings, norm = MODELS[name]
    cfg = get_cfg()
    cfg.merge_from_list(settings)
    cfg.MODEL.DEVICE = "cpu"
    cfg.MODEL.RESNETS.NORM = norm
    cfg.MODEL.RESNETS.STRIDE_IN_1X1 = stride_in_1x1
    cfg.MODEL.BACKBONE.FREEZE_AT = 0
    cfg.MODEL.RESNETS.STEM_OUT_CHANNELS //= divide
    cfg.MODEL.RESNETS.WIDTH_PER_GROUP //= divide
    cfg.MODEL.RESNETS.RES2_OUT_CHANNELS //= divide
    model = build_model(cfg)
    if name == "c4":
        model.roi_heads.res5.add_module("norm", torch.nn.BatchNorm2d(2048 // divide))
    return model


def load(model: Any, path: str) -> None:
    """As a user does: through the stock checkpointer."""
    from detectron2.checkpoint import DetectionCheckpointer

    DetectionCheckpointer(model).load(path)
