"""Joins the heads of Cascade R-CNN (Cai and Vasconcelos, arXiv 1712.00726): box heads in a row.

Each stage starts from the boxes of the one before and takes for an object what overlaps one more strictly.
Equal to Detectron2's `CascadeROIHeads`, whose names the parameters have.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torchvision.ops import clip_boxes_to_image

from transfer.engines.torchvision.backbones.layers import scaled_gradient
from transfer.engines.torchvision.heads.box import (
    BoxHead,
    BoxPredictor,
    BoxSettings,
    Sampled,
    box_losses,
    labelled_regions,
    select_detections,
)
from transfer.engines.torchvision.heads.class_scores import class_scores
from transfer.engines.torchvision.heads.roi_heads import Features, Sizes, StandardROIHeads
from transfer.engines.torchvision.regions.deltas import decode
from transfer.engines.torchvision.regions.pooler import Pooler
from transfer.engines.torchvision.structures import Detections, Targets


class CascadeROIHeads(StandardROIHeads):
    """Box heads in a row, and further heads on the regions of the first (training) or last (test) stage.

    stages: the settings of each; they differ in overlap and in the weights of the deltas. Boxes are regressed
    for all classes alike.
    """

    def __init__(
        self,
        box_pooler: Pooler,
        box_heads: Sequence[BoxHead],
        box_predictors: Sequence[BoxPredictor],
        stages: Sequence[BoxSettings],
        heads: Mapping[str, tuple[Pooler, nn.Module]],
    ):
        joined = nn.ModuleList(box_heads), nn.ModuleList(box_predictors)
        super().__init__(box_pooler, *joined, stages[0], heads)
        self.stages = stages

    def box_losses(
        self, features: Features, sampled: Sequence[Sampled], targets: Sequence[Targets], image_sizes: Sizes
    ) -> dict[str, Tensor]:
        """`loss_cls_stage0`, `loss_box_reg_stage0`, ...: those of every stage.

        The stages add up, so each sends a share of its gradient into the features.
        """
        losses: dict[str, Tensor] = {}
        for k, settings in enumerate(self.stages):
            boxes = [each.boxes for each in sampled]
            pooled = scaled_gradient(self.box_pooler(features, boxes), 1 / len(self.stages))
            logits, deltas = self.box_predictor[k](self.box_head[k](pooled))
            weights = self.box_predictor[k].fed_loss_cls_weights
            found = box_losses(logits, deltas, sampled, settings, weights)
            losses |= {f"{name}_stage{k}": loss for name, loss in found.items()}
            if k + 1 < len(self.stages):
                moved = _moved(deltas.detach(), boxes, image_sizes, settings)
                kept = [b[((b[:, 2] > b[:, 0]) & (b[:, 3] > b[:, 1]))] for b in moved]
                sampled = [
                    labelled_regions(b, t, self.stages[k + 1]) for b, t in zip(kept, targets, strict=True)
                ]
        return losses

    def detect_boxes(
        self, features: Features, proposals: Sequence[Tensor], image_sizes: Sizes
    ) -> list[Detections]:
        """Detects with the boxes of the last stage and the mean of all stages' scores."""
        scores: list[Tensor] = []
        boxes, deltas = list(proposals), torch.empty(0)
        for k, settings in enumerate(self.stages):
            if k > 0:
                boxes = _moved(deltas, boxes, image_sizes, self.stages[k - 1])
            logits, deltas = self.box_predictor[k](self.box_head[k](self.box_pooler(features, boxes)))
            scores.append(class_scores(logits, settings.sigmoid))
        mean = sum(scores[1:], scores[0]) / len(scores)
        return select_detections(mean, deltas, boxes, image_sizes, self.stages[-1])


def _moved(deltas: Tensor, boxes: Sequence[Tensor], image_sizes: Sizes, s: BoxSettings) -> list[Tensor]:
    """The boxes (R_i, 4) of each image where deltas (sum R_i, 1, 4) lead to, within the image, in float32."""
    moved = decode(deltas.float(), torch.cat(list(boxes)), s.box_reg_weights)[:, 0]
    parts = moved.split([len(b) for b in boxes])
    return [clip_boxes_to_image(b, size) for b, size in zip(parts, image_sizes, strict=True)]
