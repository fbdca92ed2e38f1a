"""The region proposal network on one feature map, with Detectron2's losses and proposal selection.

Not torchvision's `RegionProposalNetwork`: Detectron2 ranks by logit (a sigmoid saturates and ties), uses L1,
and divides both losses by the nominal number of sampled anchors.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models.detection._utils import BoxCoder
from torchvision.ops import clip_boxes_to_image, nms

from transfer.engines.torchvision.anchors import cell_anchors, grid_anchors
from transfer.engines.torchvision.sampling import IGNORE, match, sample


@dataclass(frozen=True)
class RPNSettings:
    """MODEL.RPN and MODEL.ANCHOR_GENERATOR; the pairs are (training, test)."""

    sizes: Sequence[float]
    aspect_ratios: Sequence[float]
    iou_thresholds: tuple[float, float]
    batch_size_per_image: int
    positive_fraction: float
    smooth_l1_beta: float
    pre_nms_topk: tuple[int, int]
    post_nms_topk: tuple[int, int]
    nms_thresh: float


class RPNHead(nn.Module):
    """3x3 convolution, then per anchor one logit and four deltas."""

    def __init__(self, channels: int, num_anchors: int):
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)
        self.objectness_logits = nn.Conv2d(channels, num_anchors, 1)
        self.anchor_deltas = nn.Conv2d(channels, num_anchors * 4, 1)
        for layer in (self.conv, self.objectness_logits, self.anchor_deltas):
            nn.init.normal_(layer.weight, std=0.01)
            assert layer.bias is not None
            nn.init.zeros_(layer.bias)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(N, C, H, W) -> logits (N, H*W*A), deltas (N, H*W*A, 4), both float32."""
        x = F.relu(self.conv(x))
        with torch.autocast(x.device.type, enabled=False):  # ranking needs more than bfloat16's 8 bits
            x = x.float() if x.dtype == torch.bfloat16 else x
            logits = self.objectness_logits(x).permute(0, 2, 3, 1).flatten(1)
            deltas = self.anchor_deltas(x).permute(0, 2, 3, 1).flatten(1)
        return logits, deltas.unflatten(1, (-1, 4))


class RPN(nn.Module):
    """Proposals per image, and in training the two losses."""

    def __init__(self, channels: int, stride: int, settings: RPNSettings):
        super().__init__()
        self.settings = settings
        self.stride = stride
        self.coder = BoxCoder((1.0, 1.0, 1.0, 1.0))
        cell = cell_anchors(settings.sizes, settings.aspect_ratios)
        self.cell: Tensor
        self.register_buffer("cell", cell, persistent=False)
        self.rpn_head = RPNHead(channels, len(cell))

    def forward(
        self, features: Tensor, image_sizes: Sequence[tuple[int, int]], gt_boxes: Sequence[Tensor] | None
    ) -> tuple[list[Tensor], dict[str, Tensor]]:
        """Proposals [(R_i, 4)] in descending score; `gt_boxes` [(G_i, 4)] only in training."""
        logits, deltas = self.rpn_head(features)
        height, width = features.shape[-2:]
        anchors = grid_anchors(self.cell, height, width, self.stride)
        losses = {} if gt_boxes is None else self._losses(anchors, logits, deltas, gt_boxes)
        return self._proposals(anchors, logits.detach(), deltas.detach(), image_sizes), losses

    def _losses(
        self, anchors: Tensor, logits: Tensor, deltas: Tensor, gt_boxes: Sequence[Tensor]
    ) -> dict[str, Tensor]:
        s = self.settings
        labels = torch.full(logits.shape, IGNORE, device=logits.device)
        targets = []
        for i, boxes in enumerate(gt_boxes):
            index, label = match(boxes, anchors, *s.iou_thresholds, low_quality=True)
            positive, negative = sample(label == 1, label == 0, s.batch_size_per_image, s.positive_fraction)
            labels[i, positive] = 1
            labels[i, negative] = 0
            positive = (
                (labels[i] == 1).nonzero().squeeze(1)
            )  # in anchor order, as deltas[labels == 1] will be
            targets.append(self.coder.encode_single(boxes[index[positive]], anchors[positive]))
        normaliser = s.batch_size_per_image * len(gt_boxes)
        used = labels != IGNORE
        objectness = F.binary_cross_entropy_with_logits(logits[used], labels[used].float(), reduction="sum")
        location = F.smooth_l1_loss(
            deltas[labels == 1], torch.cat(targets), beta=s.smooth_l1_beta, reduction="sum"
        )
        return {"loss_rpn_cls": objectness / normaliser, "loss_rpn_loc": location / normaliser}

    @torch.no_grad()
    def _proposals(
        self, anchors: Tensor, logits: Tensor, deltas: Tensor, image_sizes: Sequence[tuple[int, int]]
    ) -> list[Tensor]:
        s = self.settings
        test = int(not self.training)
        proposals = []
        for image_logits, image_deltas, image_size in zip(logits, deltas, image_sizes, strict=True):
            scores, top = image_logits.topk(min(s.pre_nms_topk[test], len(image_logits)))
            boxes = self.coder.decode_single(image_deltas[top], anchors[top])
            finite = boxes.isfinite().all(dim=1) & scores.isfinite()
            if self.training and not finite.all():
                raise FloatingPointError("the proposal network predicted Inf or NaN: training has diverged")
            boxes = clip_boxes_to_image(boxes, image_size)
            kept = finite & (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])
            boxes, scores = boxes[kept], scores[kept]
            proposals.append(boxes[nms(boxes, scores, s.nms_thresh)[: s.post_nms_topk[test]]])
        return proposals
