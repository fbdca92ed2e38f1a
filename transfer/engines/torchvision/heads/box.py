"""Classifies regions and regresses their boxes: which regions train, the two losses, which detections stay.

Differs from torchvision's `RoIHeads`: in Detectron2 the background class is last, boxes are regressed for
foreground classes only, with L1, and small boxes are kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.ops import batched_nms, clip_boxes_to_image

from transfer.engines.torchvision.backbones.layers import (
    NormConv2d,
    channels_last_gradient,
    msra_fill,
    xavier_fill,
)
from transfer.engines.torchvision.heads.class_scores import class_loss, federated_classes
from transfer.engines.torchvision.regions.deltas import Weights, decode, encode
from transfer.engines.torchvision.regions.sampling import match, sample
from transfer.engines.torchvision.structures import Detections, Foreground, Targets


@dataclass(frozen=True)
class BoxSettings:
    """MODEL.ROI_HEADS, MODEL.ROI_BOX_HEAD and TEST.DETECTIONS_PER_IMAGE."""

    num_classes: int
    iou_threshold: float
    batch_size_per_image: int
    positive_fraction: float
    proposal_append_gt: bool
    score_thresh: float
    nms_thresh: float
    detections_per_image: int
    box_reg_weights: Weights
    smooth_l1_beta: float
    sigmoid: bool = False  # instead of a softmax with the background
    federated: int = 0  # classes of a batch that the loss is of; 0: all


@dataclass(frozen=True)
class Sampled:
    """The S regions of one image that the box head is trained on, those that hit an object first."""

    boxes: Tensor  # (S, 4)
    matched: Tensor  # (S, 4) box of the object, where there is one
    classes: Tensor  # (S,); background is num_classes
    index: Tensor  # (S,) of the object
    num_foreground: int

    def foreground(self) -> Foreground:
        n = self.num_foreground
        return Foreground(self.boxes[:n], self.classes[:n], self.index[:n])


class BoxHead(nn.Sequential):
    """(R, C, P, P) -> (R, fc_dim): convolutions with norm, then fully connected layers, all with ReLU.

    They are named conv1, ..., fc1, ... as in Detectron2.
    """

    # parameters: each is a key of MODEL.ROI_BOX_HEAD
    def __init__(
        self,
        channels: int,
        size: int,
        num_fc: int,
        fc_dim: int,
        num_conv: int = 0,
        conv_dim: int = 256,
        norm: str = "",
    ):
        super().__init__()
        for k in range(1, num_conv + 1):
            conv = NormConv2d(channels, conv_dim, 3, norm=norm, relu=True)
            msra_fill(conv)
            self.add_module(f"conv{k}", conv)
            channels = conv_dim
        width = channels * size * size
        for i in range(1, num_fc + 1):
            layer = nn.Linear(width, fc_dim)
            xavier_fill(layer)
            self.add_module(f"fc{i}", layer)
            width = fc_dim

    def forward(self, x: Tensor) -> Tensor:
        for layer in self:
            if isinstance(layer, NormConv2d):
                x = channels_last_gradient(layer(x))
            else:
                x = F.relu(layer(x.flatten(1)))
        return x


class BoxPredictor(nn.Module):
    """(R, C) -> class logits (R, K + 1), background last, and deltas (R, K, 4), or (R, 1, 4) for all classes.

    With a federated loss it carries `fed_loss_cls_weights` (K,), which `transfer.engines.federated` sets.
    """

    fed_loss_cls_weights: Tensor | None

    def __init__(self, channels: int, num_classes: int, agnostic: bool = False, federated: bool = False):
        super().__init__()
        self.cls_score = nn.Linear(channels, num_classes + 1)
        self.bbox_pred = nn.Linear(channels, (1 if agnostic else num_classes) * 4)
        self.register_buffer("fed_loss_cls_weights", torch.ones(num_classes) if federated else None)
        nn.init.normal_(self.cls_score.weight, std=0.01)
        nn.init.normal_(self.bbox_pred.weight, std=0.001)
        for layer in (self.cls_score, self.bbox_pred):
            nn.init.zeros_(layer.bias)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        with torch.autocast(x.device.type, enabled=False):  # scores are compared to 1e-4
            x = x.float() if x.dtype in (torch.bfloat16, torch.float16) else x
            return self.cls_score(x), self.bbox_pred(x).unflatten(1, (-1, 4))


@torch.no_grad()
def sample_regions(proposals: Tensor, targets: Targets, s: BoxSettings) -> Sampled:
    """Regions (R, 4) matched to the objects of their image, and a random choice of them."""
    if s.proposal_append_gt:  # early proposals hit nothing; the truth itself gives the head its positives
        proposals = torch.cat([proposals, targets.boxes])
    index, label = match(targets.boxes, proposals, s.iou_threshold, s.iou_threshold, low_quality=False)
    foreground, background = sample(label == 1, label == 0, s.batch_size_per_image, s.positive_fraction)
    return _sampled(proposals, targets, index, foreground, background, s)


@torch.no_grad()
def labelled_regions(boxes: Tensor, targets: Targets, s: BoxSettings) -> Sampled:
    """All regions (R, 4) matched to the objects of their image: what a later stage is trained on."""
    index, label = match(targets.boxes, boxes, s.iou_threshold, s.iou_threshold, low_quality=False)
    hits = label == 1
    return _sampled(boxes, targets, index, hits.nonzero()[:, 0], (~hits).nonzero()[:, 0], s)


def _sampled(
    proposals: Tensor, targets: Targets, index: Tensor, foreground: Tensor, background: Tensor, s: BoxSettings
) -> Sampled:
    chosen = torch.cat([foreground, background])
    classes = torch.full((len(chosen),), s.num_classes, dtype=torch.int64, device=chosen.device)
    classes[: len(foreground)] = targets.classes[index[foreground]]
    matched = targets.boxes[index[chosen]] if len(targets.boxes) else proposals[chosen]
    return Sampled(proposals[chosen], matched, classes, index[chosen], len(foreground))


def box_losses(
    logits: Tensor,
    deltas: Tensor,
    sampled: Sequence[Sampled],
    s: BoxSettings,
    weights: Tensor | None = None,
) -> dict[str, Tensor]:
    """`loss_cls` and `loss_box_reg` of the regions of a batch; weights (K,) are those of a federated loss."""
    boxes = torch.cat([each.boxes for each in sampled])
    matched = torch.cat([each.matched for each in sampled])
    classes = torch.cat([each.classes for each in sampled])
    foreground = (classes < s.num_classes).nonzero().squeeze(1)
    wanted = encode(matched[foreground], boxes[foreground], s.box_reg_weights)
    location = F.smooth_l1_loss(
        _of_class(deltas, foreground, classes[foreground]), wanted, beta=s.smooth_l1_beta, reduction="sum"
    )
    kept = None if weights is None else federated_classes(classes, weights, s.federated)
    return {
        "loss_cls": class_loss(logits, classes, s.sigmoid, kept),
        # Divided by all regions, so that every foreground example weighs alike whatever its batch.
        "loss_box_reg": location / max(len(classes), 1),
    }


def _of_class(values: Tensor, rows: Tensor, kind: Tensor) -> Tensor:
    """values[rows, kind] of (R, K, 4), or of (R, 1, 4), which are of every class."""
    return values[rows, kind.clamp(max=values.shape[1] - 1)]


def select_detections(
    scores: Tensor,
    deltas: Tensor,
    proposals: Sequence[Tensor],
    image_sizes: Sequence[tuple[int, int]],
    s: BoxSettings,
) -> list[Detections]:
    """Per image: threshold, NMS per class, and the best `detections_per_image`, in its resized pixels.

    scores (sum R_i, K) are those of the classes, of all images together.
    """
    counts = [len(p) for p in proposals]
    boxes = decode(deltas, torch.cat(list(proposals)), s.box_reg_weights)
    parts = boxes.split(counts), scores.split(counts), image_sizes
    return [_select(b, p, size, s) for b, p, size in zip(*parts, strict=True)]


def _select(boxes: Tensor, scores: Tensor, image_size: tuple[int, int], s: BoxSettings) -> Detections:
    """Of one image; boxes (R, K, 4) or (R, 1, 4), scores (R, K)."""
    finite = boxes.flatten(1).isfinite().all(dim=1) & scores.isfinite().all(dim=1)
    boxes, scores = clip_boxes_to_image(boxes[finite], image_size), scores[finite]
    region, kind = (scores > s.score_thresh).nonzero(as_tuple=True)
    boxes, scores = _of_class(boxes, region, kind), scores[region, kind]
    kept = batched_nms(boxes, scores, kind, s.nms_thresh)[: s.detections_per_image]
    return Detections(boxes[kept], scores[kept], kind[kept])
