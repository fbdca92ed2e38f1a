"""Detects objects in two stages: pixels come in, losses or detections go out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn
from torchvision.ops import clip_boxes_to_image

from transfer.engines.torchvision.backbones.necks import Backbone
from transfer.engines.torchvision.heads.res5 import Res5ROIHeads
from transfer.engines.torchvision.heads.roi_heads import StandardROIHeads
from transfer.engines.torchvision.pixels import Normalizer
from transfer.engines.torchvision.regions.rpn import RPN
from transfer.engines.torchvision.structures import Detections, Targets

Size = tuple[int, int]  # (height, width)


class GeneralizedRCNN(nn.Module):
    """Detects in two stages; its attribute names are Detectron2's, so that the parameter names are too."""

    def __init__(
        self,
        normalizer: Normalizer,
        backbone: Backbone,
        proposal_generator: RPN,
        roi_heads: Res5ROIHeads | StandardROIHeads,
    ):
        super().__init__()
        self.normalizer = normalizer
        self.backbone = backbone
        self.proposal_generator = proposal_generator
        self.roi_heads = roi_heads

    def forward(self, images: Sequence[Tensor], targets: Sequence[Targets]) -> dict[str, Tensor]:
        """Computes the losses of (3, H_i, W_i) uint8 images. Distributed wrappers call this name."""
        batch, sizes = self.normalizer(images)
        features = self.backbone(batch)
        proposals, losses = self.proposal_generator(features, sizes, [t.boxes for t in targets])
        return losses | self.roi_heads.losses(features, proposals, targets, sizes)

    def detect(self, images: Sequence[Tensor], output_sizes: Sequence[Size]) -> list[Detections]:
        """Detects in pixels of `output_sizes`, the original images' sizes."""
        batch, sizes = self.normalizer(images)
        features = self.backbone(batch)
        proposals, _ = self.proposal_generator(features, sizes, None)
        found = self.roi_heads.detect(features, proposals, sizes)
        return [_rescaled(d, size, out) for d, size, out in zip(found, sizes, output_sizes, strict=True)]


def _rescaled(found: Detections, size: Size, output: Size) -> Detections:
    """Moves resized to original pixels; boxes that vanish are dropped, as in Detectron2's postprocessing."""
    scale = found.boxes.new_tensor([output[1] / size[1], output[0] / size[0]])
    boxes = clip_boxes_to_image(found.boxes * scale.repeat(2), output)
    kept = (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])
    points, dense = found.keypoints, found.densepose
    in_pixels = torch.cat([scale, scale.new_ones(1)])
    return replace(
        found,
        boxes=boxes[kept],
        scores=found.scores[kept],
        classes=found.classes[kept],
        masks=None if found.masks is None else found.masks[kept],
        keypoints=None if points is None else (points * in_pixels)[kept],
        densepose=None if dense is None else {name: values[kept] for name, values in dense.items()},
    )
