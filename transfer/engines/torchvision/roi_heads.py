"""The C4 box head: RoIAlign on res4, the shared res5, an optional extra norm, the mean, two linear layers.

Not torchvision's `RoIHeads`: in Detectron2 the background class is last, boxes are regressed for foreground
classes only, with L1, and small boxes are kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models.detection._utils import BoxCoder
from torchvision.ops import batched_nms, clip_boxes_to_image

from transfer.engines.torchvision.roi_align import roi_align
from transfer.engines.torchvision.sampling import match, sample


@dataclass(frozen=True)
class ROISettings:
    """MODEL.ROI_HEADS, MODEL.ROI_BOX_HEAD and TEST.DETECTIONS_PER_IMAGE."""

    num_classes: int
    iou_threshold: float
    batch_size_per_image: int
    positive_fraction: float
    proposal_append_gt: bool
    score_thresh: float
    nms_thresh: float
    detections_per_image: int
    box_reg_weights: tuple[float, float, float, float]
    smooth_l1_beta: float
    pooler_resolution: int
    pooler_sampling_ratio: int


@dataclass(frozen=True)
class Targets:
    """Ground truth of one image: boxes (G, 4) in its resized pixels, classes (G,)."""

    boxes: Tensor
    classes: Tensor


@dataclass(frozen=True)
class Detections:
    """Detections of one image, best first: boxes (D, 4), scores (D,), classes (D,)."""

    boxes: Tensor
    scores: Tensor
    classes: Tensor


class BoxPredictor(nn.Module):
    """(R, C) -> class logits (R, K + 1), background last, and deltas (R, K, 4)."""

    def __init__(self, channels: int, num_classes: int):
        super().__init__()
        self.cls_score = nn.Linear(channels, num_classes + 1)
        self.bbox_pred = nn.Linear(channels, num_classes * 4)
        nn.init.normal_(self.cls_score.weight, std=0.01)
        nn.init.normal_(self.bbox_pred.weight, std=0.001)
        for layer in (self.cls_score, self.bbox_pred):
            nn.init.zeros_(layer.bias)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        with torch.autocast(x.device.type, enabled=False):  # scores are compared to 1e-4
            x = x.float() if x.dtype == torch.bfloat16 else x
            return self.cls_score(x), self.bbox_pred(x).unflatten(1, (-1, 4))


class Res5ROIHeads(nn.Module):
    """Losses in training, detections at test; `res5` may end in the extra norm under the name "norm"."""

    def __init__(self, res5: nn.Sequential, channels: int, stride: int, settings: ROISettings):
        super().__init__()
        self.settings = settings
        self.stride = stride
        self.coder = BoxCoder(settings.box_reg_weights)
        self.res5 = res5
        self.box_predictor = BoxPredictor(channels, settings.num_classes)

    def losses(
        self, features: Tensor, proposals: Sequence[Tensor], targets: Sequence[Targets]
    ) -> dict[str, Tensor]:
        """`loss_cls` and `loss_box_reg` on sampled proposals."""
        sampled = [self._sample(p, t) for p, t in zip(proposals, targets, strict=True)]
        logits, deltas = self._predict(features, [boxes for boxes, _, _ in sampled])
        boxes, matched, classes = (torch.cat(parts) for parts in zip(*sampled, strict=True))
        foreground = (classes < self.settings.num_classes).nonzero().squeeze(1)
        wanted = self.coder.encode_single(matched[foreground], boxes[foreground])
        location = F.smooth_l1_loss(
            deltas[foreground, classes[foreground]],
            wanted,
            beta=self.settings.smooth_l1_beta,
            reduction="sum",
        )
        # Divided by all regions, so that every foreground example weighs alike whatever its batch.
        return {"loss_cls": F.cross_entropy(logits, classes), "loss_box_reg": location / max(len(classes), 1)}

    def detect(
        self, features: Tensor, proposals: Sequence[Tensor], image_sizes: Sequence[tuple[int, int]]
    ) -> list[Detections]:
        """Detections per image in its resized pixels."""
        logits, deltas = self._predict(features, proposals)
        counts = [len(p) for p in proposals]
        scores = logits.softmax(dim=1)[:, :-1].split(counts)
        boxes = self.coder.decode_single(deltas.flatten(1), torch.cat(list(proposals))).unflatten(1, (-1, 4))
        return [
            self._select(b, s, size)
            for b, s, size in zip(boxes.split(counts), scores, image_sizes, strict=True)
        ]

    def _predict(self, features: Tensor, boxes: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        s = self.settings
        pooled = roi_align(features, boxes, s.pooler_resolution, 1 / self.stride, s.pooler_sampling_ratio)
        return self.box_predictor(self.res5(pooled).mean(dim=(2, 3)))

    @torch.no_grad()
    def _sample(self, proposals: Tensor, targets: Targets) -> tuple[Tensor, Tensor, Tensor]:
        """Sampled boxes (S, 4), their ground truth (S, 4) and classes (S,); background is num_classes."""
        s = self.settings
        if s.proposal_append_gt:  # early proposals hit nothing; the truth itself gives the head its positives
            proposals = torch.cat([proposals, targets.boxes])
        index, label = match(targets.boxes, proposals, s.iou_threshold, s.iou_threshold, low_quality=False)
        foreground, background = sample(label == 1, label == 0, s.batch_size_per_image, s.positive_fraction)
        chosen = torch.cat([foreground, background])
        classes = torch.full((len(chosen),), s.num_classes, dtype=torch.int64, device=chosen.device)
        classes[: len(foreground)] = targets.classes[index[foreground]]
        matched = targets.boxes[index[chosen]] if len(targets.boxes) else proposals[chosen]
        return proposals[chosen], matched, classes

    def _select(self, boxes: Tensor, scores: Tensor, image_size: tuple[int, int]) -> Detections:
        """Threshold, NMS per class, best `detections_per_image`; boxes (R, K, 4), scores (R, K)."""
        s = self.settings
        finite = boxes.flatten(1).isfinite().all(dim=1) & scores.isfinite().all(dim=1)
        boxes, scores = clip_boxes_to_image(boxes[finite], image_size), scores[finite]
        region, kind = (scores > s.score_thresh).nonzero(as_tuple=True)
        boxes, scores = boxes[region, kind], scores[region, kind]
        kept = batched_nms(boxes, scores, kind, s.nms_thresh)[: s.detections_per_image]
        return Detections(boxes[kept], scores[kept], kind[kept])
