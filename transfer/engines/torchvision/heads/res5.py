"""Puts the heads of C4 recipes on a shared last stage of the ResNet: `res5`, as Detectron2 names it."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from transfer.engines.torchvision.backbones.layers import rows_of, spatial_mean
from transfer.engines.torchvision.heads.box import (
    BoxPredictor,
    BoxSettings,
    box_losses,
    sample_regions,
    select_detections,
)
from transfer.engines.torchvision.heads.class_scores import class_scores
from transfer.engines.torchvision.heads.roi_heads import Features, Sizes
from transfer.engines.torchvision.regions.pooler import Pooler
from transfer.engines.torchvision.structures import Detections, RegionHead, Targets


class Res5ROIHeads(nn.Module):
    """RoIAlign on res4, the shared res5, its mean for the boxes; the mask head reads res5 itself.

    `res5` may end in the extra norm under the name "norm".
    """

    def __init__(
        self,
        res5: nn.Sequential,
        pooler: Pooler,
        predictor: BoxPredictor,
        settings: BoxSettings,
        mask_head: nn.Module | None = None,
    ):
        super().__init__()
        self.settings, self.pooler = settings, pooler
        self.res5 = res5
        self.box_predictor = predictor
        self.mask_head: RegionHead | None
        self.mask_head = mask_head  # type: ignore[assignment]

    def losses(
        self,
        features: Features,
        proposals: Sequence[Tensor],
        targets: Sequence[Targets],
        image_sizes: Sizes,
    ) -> dict[str, Tensor]:
        """`loss_cls`, `loss_box_reg` and, with a mask head, `loss_mask` on sampled regions."""
        sampled = [sample_regions(p, t, self.settings) for p, t in zip(proposals, targets, strict=True)]
        x = self._shared(features, [each.boxes for each in sampled])
        logits, deltas = self.box_predictor(spatial_mean(x))
        losses = box_losses(logits, deltas, sampled, self.settings, self.box_predictor.fed_loss_cls_weights)
        if self.mask_head is not None:
            hits = (torch.cat([each.classes for each in sampled]) < self.settings.num_classes).nonzero()[:, 0]
            losses |= self.mask_head.losses(
                rows_of(x, hits), [each.foreground() for each in sampled], targets
            )
        return losses

    def detect(self, features: Features, proposals: Sequence[Tensor], image_sizes: Sizes) -> list[Detections]:
        """Detections per image in its resized pixels."""
        x = self._shared(features, proposals)
        logits, deltas = self.box_predictor(spatial_mean(x))
        scores = class_scores(logits, self.settings.sigmoid)
        found = select_detections(scores, deltas, proposals, image_sizes, self.settings)
        if self.mask_head is not None:
            found = self.mask_head.detect(self._shared(features, [d.boxes for d in found]), found)
        return found

    def _shared(self, features: Features, boxes: Sequence[Tensor]) -> Tensor:
        x: Tensor = self.res5(self.pooler(features, boxes))
        return x
