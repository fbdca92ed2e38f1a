"""Builds the embedded engine's model of a recipe."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import nn
from yacs.config import CfgNode

from transfer.engines.norms import take_fused
from transfer.engines.torchvision.backbones.build import build_backbone, build_last_stage, names_in_module
from transfer.engines.torchvision.backbones.necks import Backbone
from transfer.engines.torchvision.detector import GeneralizedRCNN
from transfer.engines.torchvision.heads.box import BoxHead, BoxPredictor, BoxSettings
from transfer.engines.torchvision.heads.cascade import CascadeROIHeads
from transfer.engines.torchvision.heads.densepose import densepose_head
from transfer.engines.torchvision.heads.keypoint import KeypointHead
from transfer.engines.torchvision.heads.mask import MaskHead
from transfer.engines.torchvision.heads.res5 import Res5ROIHeads
from transfer.engines.torchvision.heads.roi_heads import StandardROIHeads
from transfer.engines.torchvision.pixels import Normalizer
from transfer.engines.torchvision.regions.pooler import Pooler
from transfer.engines.torchvision.regions.rpn import RPN, RPNSettings
from transfer.engines.torchvision.segmentor import build_segmentor
from transfer.recipes.architectures import architecture_of
from transfer.recipes.resolve import flatten


def build_model(cfg: CfgNode, device: torch.device) -> nn.Module:
    """Builds the recipe's model at its random initialisation, in channels_last."""
    backbone = build_backbone(cfg)
    normalizer = Normalizer(
        cfg.MODEL.PIXEL_MEAN,
        cfg.MODEL.PIXEL_STD,
        backbone.size_divisibility,
        getattr(backbone, "square_pad", 0),
    )
    build = build_segmentor if architecture_of(flatten(cfg)).heads == "class map" else _detector
    model = build(cfg, backbone, normalizer)
    model.names = names_in_module(cfg)  # type: ignore[assignment]  # plain text, which no state dict has
    if device.type == "cuda":
        take_fused(model)
    return model.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]


def _detector(cfg: CfgNode, backbone: Backbone, normalizer: Normalizer) -> nn.Module:
    rpn_strides = _strides(backbone, cfg.MODEL.RPN.IN_FEATURES)
    rpn = RPN(backbone.channels[cfg.MODEL.RPN.IN_FEATURES[0]], rpn_strides, _rpn_settings(cfg))
    shared = architecture_of(flatten(cfg)).heads == "last stage"
    heads = _heads_on_last_stage(cfg, backbone) if shared else _standard_heads(cfg, backbone)
    return GeneralizedRCNN(normalizer, backbone, rpn, heads)


def _heads_on_last_stage(cfg: CfgNode, backbone: Backbone) -> Res5ROIHeads:
    stage, channels = build_last_stage(cfg)
    mask_head = _mask_head(cfg, channels) if cfg.MODEL.MASK_ON else None
    return Res5ROIHeads(
        stage,
        _pooler(cfg, backbone, "ROI_BOX_HEAD"),
        _box_predictor(cfg, channels),
        _box_settings(cfg),
        mask_head,
    )


def _standard_heads(cfg: CfgNode, backbone: Backbone) -> StandardROIHeads:
    channels = backbone.channels[cfg.MODEL.ROI_HEADS.IN_FEATURES[0]]
    heads: dict[str, tuple[Pooler, nn.Module]] = {}
    if cfg.MODEL.MASK_ON:
        heads["mask_head"] = _pooler(cfg, backbone, "ROI_MASK_HEAD"), _mask_head(cfg, channels)
    if cfg.MODEL.KEYPOINT_ON:
        heads["keypoint_head"] = _pooler(cfg, backbone, "ROI_KEYPOINT_HEAD"), _keypoint_head(cfg, channels)
    if cfg.MODEL.DENSEPOSE_ON:
        heads["densepose"] = _pooler(cfg, backbone, "ROI_DENSEPOSE_HEAD"), densepose_head(cfg, channels)
    pooler, settings = _pooler(cfg, backbone, "ROI_BOX_HEAD"), _box_settings(cfg)

    def parts() -> tuple[BoxHead, BoxPredictor]:
        return _box_head(cfg, channels), _box_predictor(cfg, cfg.MODEL.ROI_BOX_HEAD.FC_DIM)

    if cfg.MODEL.ROI_HEADS.NAME != "CascadeROIHeads":
        return StandardROIHeads(pooler, *parts(), settings, heads)
    cascade = cfg.MODEL.ROI_BOX_CASCADE_HEAD
    stages = [
        replace(settings, iou_threshold=overlap, box_reg_weights=tuple(weights))
        for overlap, weights in zip(cascade.IOUS, cascade.BBOX_REG_WEIGHTS, strict=True)
    ]
    box_heads, predictors = zip(*(parts() for _ in stages), strict=True)
    return CascadeROIHeads(pooler, box_heads, predictors, stages, heads)


def _box_head(cfg: CfgNode, channels: int) -> BoxHead:
    box = cfg.MODEL.ROI_BOX_HEAD
    return BoxHead(
        channels, box.POOLER_RESOLUTION, box.NUM_FC, box.FC_DIM, box.NUM_CONV, box.CONV_DIM, box.NORM
    )


def _box_predictor(cfg: CfgNode, channels: int) -> BoxPredictor:
    box = cfg.MODEL.ROI_BOX_HEAD
    return BoxPredictor(
        channels, cfg.MODEL.ROI_HEADS.NUM_CLASSES, box.CLS_AGNOSTIC_BBOX_REG, box.USE_FED_LOSS
    )


def _mask_head(cfg: CfgNode, channels: int) -> MaskHead:
    head = cfg.MODEL.ROI_MASK_HEAD
    return MaskHead(channels, cfg.MODEL.ROI_HEADS.NUM_CLASSES, head.NUM_CONV, head.CONV_DIM, head.NORM)


def _keypoint_head(cfg: CfgNode, channels: int) -> KeypointHead:
    head, regions = cfg.MODEL.ROI_KEYPOINT_HEAD, cfg.MODEL.ROI_HEADS
    # Unless the loss counts visible keypoints, it is divided by what a batch full of foreground would hold.
    full = head.NUM_KEYPOINTS * regions.BATCH_SIZE_PER_IMAGE * regions.POSITIVE_FRACTION
    normalizer = None if head.NORMALIZE_LOSS_BY_VISIBLE_KEYPOINTS else full
    return KeypointHead(channels, head.CONV_DIMS, head.NUM_KEYPOINTS, head.LOSS_WEIGHT, normalizer)


def _pooler(cfg: CfgNode, backbone: Backbone, head: str) -> Pooler:
    settings = cfg.MODEL[head]
    return Pooler(
        _strides(backbone, cfg.MODEL.ROI_HEADS.IN_FEATURES),
        settings.POOLER_RESOLUTION,
        settings.POOLER_SAMPLING_RATIO,
        settings.get("POOLER_TYPE", "ROIAlignV2") == "ROIAlignV2",
    )


def _strides(backbone: Backbone, names: list[str]) -> dict[str, int]:
    return {name: backbone.strides[name] for name in names}


def _rpn_settings(cfg: CfgNode) -> RPNSettings:
    rpn, anchors = cfg.MODEL.RPN, cfg.MODEL.ANCHOR_GENERATOR
    return RPNSettings(
        sizes=anchors.SIZES,
        aspect_ratios=anchors.ASPECT_RATIOS,
        iou_thresholds=tuple(rpn.IOU_THRESHOLDS),
        batch_size_per_image=rpn.BATCH_SIZE_PER_IMAGE,
        positive_fraction=rpn.POSITIVE_FRACTION,
        smooth_l1_beta=rpn.SMOOTH_L1_BETA,
        pre_nms_topk=(rpn.PRE_NMS_TOPK_TRAIN, rpn.PRE_NMS_TOPK_TEST),
        post_nms_topk=(rpn.POST_NMS_TOPK_TRAIN, rpn.POST_NMS_TOPK_TEST),
        nms_thresh=rpn.NMS_THRESH,
        conv_dims=rpn.CONV_DIMS,
    )


def _box_settings(cfg: CfgNode) -> BoxSettings:
    heads, box = cfg.MODEL.ROI_HEADS, cfg.MODEL.ROI_BOX_HEAD
    return BoxSettings(
        num_classes=heads.NUM_CLASSES,
        iou_threshold=heads.IOU_THRESHOLDS[0],
        batch_size_per_image=heads.BATCH_SIZE_PER_IMAGE,
        positive_fraction=heads.POSITIVE_FRACTION,
        proposal_append_gt=heads.PROPOSAL_APPEND_GT,
        score_thresh=heads.SCORE_THRESH_TEST,
        nms_thresh=heads.NMS_THRESH_TEST,
        detections_per_image=cfg.TEST.DETECTIONS_PER_IMAGE,
        box_reg_weights=tuple(box.BBOX_REG_WEIGHTS),
        smooth_l1_beta=box.SMOOTH_L1_BETA,
        sigmoid=box.USE_SIGMOID_CE,
        federated=box.FED_LOSS_NUM_CLASSES,
    )
