"""The embedded engine behind the common interface."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence

import torch
import torchvision
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR, LRScheduler
from yacs.config import CfgNode

from transfer.engines.torchvision import names
from transfer.engines.torchvision.norm import norm_layer
from transfer.engines.torchvision.rcnn import FasterRCNNC4
from transfer.engines.torchvision.resnet import ResNet, Shape, make_stage
from transfer.engines.torchvision.roi_heads import Res5ROIHeads, ROISettings, Targets
from transfer.engines.torchvision.rpn import RPN, RPNSettings
from transfer.evaluation.prediction import Prediction
from transfer.mapper import Sample

STRIDE = 16  # of res4


class TorchvisionEngine:
    """See `transfer.engines.base.Engine`."""

    name = "torchvision"

    def version(self) -> str:
        return str(torchvision.__version__)

    def build(self, cfg: CfgNode, device: torch.device) -> nn.Module:
        shape = _shape(cfg)
        norm = cfg.MODEL.RESNETS.NORM
        backbone = ResNet(shape, last=4, norm=norm, freeze_at=cfg.MODEL.BACKBONE.FREEZE_AT)
        res5 = make_stage(shape, 5, norm)
        channels = backbone.out_channels * 2
        if cfg.MODEL.ROI_HEADS.NAME == "Res5ROIHeadsExtraNorm":
            res5.add_module("norm", norm_layer(norm)(channels))
        model = FasterRCNNC4(
            backbone,
            RPN(backbone.out_channels, STRIDE, _rpn_settings(cfg)),
            Res5ROIHeads(res5, channels, STRIDE, _roi_settings(cfg)),
            cfg.MODEL.PIXEL_MEAN,
            cfg.MODEL.PIXEL_STD,
        )
        return model.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]

    def state(self, model: nn.Module) -> dict[str, Tensor]:
        return names.model_state(model)

    def load_state(self, model: nn.Module, state: Mapping[str, Tensor]) -> None:
        names.load_model_state(model, state)

    def solver(self, cfg: CfgNode, model: nn.Module) -> tuple[torch.optim.Optimizer, LRScheduler]:
        norms: list[nn.Parameter] = []
        others: list[nn.Parameter] = []
        for module in model.modules():
            group = norms if isinstance(module, nn.BatchNorm2d) else others
            group.extend(p for p in module.parameters(recurse=False) if p.requires_grad)
        optimizer = torch.optim.SGD(
            [
                {"params": others, "weight_decay": cfg.SOLVER.WEIGHT_DECAY},
                {"params": norms, "weight_decay": cfg.SOLVER.WEIGHT_DECAY_NORM},
            ],
            lr=cfg.SOLVER.BASE_LR,
            momentum=cfg.SOLVER.MOMENTUM,
            nesterov=cfg.SOLVER.NESTEROV,
            foreach=True,
        )
        return optimizer, LambdaLR(optimizer, lambda iteration: lr_factor(cfg, iteration))

    def losses(self, model: nn.Module, batch: Sequence[Sample]) -> dict[str, Tensor]:
        device = next(model.parameters()).device
        images = [s.image.to(device, non_blocking=True) for s in batch]
        targets = [Targets(s.boxes.to(device), s.classes.to(device)) for s in batch]
        losses: dict[str, Tensor] = model(images, targets)
        return losses

    @torch.no_grad()
    def predict(self, model: nn.Module, batch: Sequence[Sample]) -> list[Prediction]:
        device = next(model.parameters()).device
        found = model.detect(  # type: ignore[operator]
            [s.image.to(device, non_blocking=True) for s in batch], [(s.height, s.width) for s in batch]
        )
        return [
            Prediction(s.image_id, d.boxes.cpu().numpy(), d.scores.cpu().numpy(), d.classes.cpu().numpy())
            for s, d in zip(batch, found, strict=True)
        ]


def lr_factor(cfg: CfgNode, iteration: int) -> float:
    """Detectron2's WarmupMultiStepLR at 0-based `iteration`: linear warm-up, GAMMA at every step passed."""
    solver = cfg.SOLVER
    steps = [step for step in solver.STEPS if step <= solver.MAX_ITER]

    def decayed(t: int) -> float:
        return float(solver.GAMMA ** bisect_right(steps, t))

    warmup = min(solver.WARMUP_ITERS, solver.MAX_ITER)
    if iteration >= warmup:
        return decayed(iteration)
    start, end = solver.WARMUP_FACTOR * decayed(0), decayed(warmup)
    return float(start + (end - start) * iteration / warmup)


def _shape(cfg: CfgNode) -> Shape:
    r = cfg.MODEL.RESNETS
    return Shape(
        r.DEPTH, r.NUM_GROUPS, r.WIDTH_PER_GROUP, r.STEM_OUT_CHANNELS, r.RES2_OUT_CHANNELS, r.STRIDE_IN_1X1
    )


def _rpn_settings(cfg: CfgNode) -> RPNSettings:
    rpn, anchors = cfg.MODEL.RPN, cfg.MODEL.ANCHOR_GENERATOR
    return RPNSettings(
        sizes=anchors.SIZES[0],
        aspect_ratios=anchors.ASPECT_RATIOS[0],
        iou_thresholds=tuple(rpn.IOU_THRESHOLDS),
        batch_size_per_image=rpn.BATCH_SIZE_PER_IMAGE,
        positive_fraction=rpn.POSITIVE_FRACTION,
        smooth_l1_beta=rpn.SMOOTH_L1_BETA,
        pre_nms_topk=(rpn.PRE_NMS_TOPK_TRAIN, rpn.PRE_NMS_TOPK_TEST),
        post_nms_topk=(rpn.POST_NMS_TOPK_TRAIN, rpn.POST_NMS_TOPK_TEST),
        nms_thresh=rpn.NMS_THRESH,
    )


def _roi_settings(cfg: CfgNode) -> ROISettings:
    heads, box = cfg.MODEL.ROI_HEADS, cfg.MODEL.ROI_BOX_HEAD
    return ROISettings(
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
        pooler_resolution=box.POOLER_RESOLUTION,
        pooler_sampling_ratio=box.POOLER_SAMPLING_RATIO,
    )


engine = TorchvisionEngine()
