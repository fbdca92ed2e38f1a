"""Joins the standard heads: a box head and any further ones, each with a pooler of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from transfer.engines.torchvision.heads.box import (
    BoxHead,
    BoxPredictor,
    BoxSettings,
    Sampled,
    box_losses,
    sample_regions,
    select_detections,
)
from transfer.engines.torchvision.heads.class_scores import class_scores
from transfer.engines.torchvision.regions.pooler import Pooler
from transfer.engines.torchvision.structures import Detections, RegionHead, Targets

Features = Mapping[str, Tensor]
Sizes = Sequence[tuple[int, int]]


class StandardROIHeads(nn.Module):
    """A box head, and any further heads by name ("mask_head", ...), each with its own pooler."""

    box_head: Any  # one, or those of a cascade
    box_predictor: Any

    def __init__(
        self,
        box_pooler: Pooler,
        box_head: BoxHead | nn.ModuleList,
        box_predictor: BoxPredictor | nn.ModuleList,
        settings: BoxSettings,
        heads: Mapping[str, tuple[Pooler, nn.Module]],
    ):
        super().__init__()
        self.settings = settings
        self.box_pooler, self.box_head, self.box_predictor = box_pooler, box_head, box_predictor
        self.poolers = {name: pooler for name, (pooler, _) in heads.items()}
        for name, (_, head) in heads.items():
            self.add_module(name, head)

    def losses(
        self,
        features: Features,
        proposals: Sequence[Tensor],
        targets: Sequence[Targets],
        image_sizes: Sizes,
    ) -> dict[str, Tensor]:
        """The losses of all heads on sampled regions."""
        sampled = [sample_regions(p, t, self.settings) for p, t in zip(proposals, targets, strict=True)]
        losses = self.box_losses(features, sampled, targets, image_sizes)
        foreground = [each.foreground() for each in sampled]
        for name, pooler in self.poolers.items():
            head: RegionHead = getattr(self, name)
            chosen = head.select(foreground, targets)
            pooled = pooler(features, [each.boxes for each in chosen])
            losses |= head.losses(pooled, chosen, targets)
        return losses

    def detect(self, features: Features, proposals: Sequence[Tensor], image_sizes: Sizes) -> list[Detections]:
        """Detections per image in its resized pixels."""
        found = self.detect_boxes(features, proposals, image_sizes)
        for name, pooler in self.poolers.items():
            head: RegionHead = getattr(self, name)
            found = head.detect(pooler(features, [d.boxes for d in found]), found)
        return found

    def box_losses(
        self, features: Features, sampled: Sequence[Sampled], targets: Sequence[Targets], image_sizes: Sizes
    ) -> dict[str, Tensor]:
        """`loss_cls` and `loss_box_reg` of the sampled regions."""
        pooled = self.box_pooler(features, [each.boxes for each in sampled])
        logits, deltas = self.box_predictor(self.box_head(pooled))
        return box_losses(logits, deltas, sampled, self.settings, self.box_predictor.fed_loss_cls_weights)

    def detect_boxes(
        self, features: Features, proposals: Sequence[Tensor], image_sizes: Sizes
    ) -> list[Detections]:
        """Detections without what further heads add to them."""
        logits, deltas = self.box_predictor(self.box_head(self.box_pooler(features, proposals)))
        scores = class_scores(logits, self.settings.sigmoid)
        return select_detections(scores, deltas, proposals, image_sizes, self.settings)
