"""Faster R-CNN C4: pixels in, losses or detections out."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torchvision.ops import clip_boxes_to_image

from transfer.engines.torchvision.resnet import ResNet
from transfer.engines.torchvision.roi_heads import Detections, Res5ROIHeads, Targets
from transfer.engines.torchvision.rpn import RPN

Size = tuple[int, int]  # (height, width)


class FasterRCNNC4(nn.Module):
    """The attribute names are Detectron2's, so that the parameter names are too."""

    def __init__(
        self,
        backbone: ResNet,
        proposal_generator: RPN,
        roi_heads: Res5ROIHeads,
        pixel_mean: Sequence[float],
        pixel_std: Sequence[float],
    ):
        super().__init__()
        self.backbone = backbone
        self.proposal_generator = proposal_generator
        self.roi_heads = roi_heads
        self.pixel_mean: Tensor
        self.pixel_std: Tensor
        self.register_buffer("pixel_mean", torch.tensor(pixel_mean).view(-1, 1, 1), persistent=False)
        self.register_buffer("pixel_std", torch.tensor(pixel_std).view(-1, 1, 1), persistent=False)

    def losses(self, images: Sequence[Tensor], targets: Sequence[Targets]) -> dict[str, Tensor]:
        """Four losses of a batch; images are (3, H_i, W_i) uint8."""
        features, sizes = self._features(images)
        proposals, losses = self.proposal_generator(features, sizes, [t.boxes for t in targets])
        return losses | self.roi_heads.losses(features, proposals, targets)

    def detect(self, images: Sequence[Tensor], output_sizes: Sequence[Size]) -> list[Detections]:
        """Detections in pixels of `output_sizes`, the original images' sizes."""
        features, sizes = self._features(images)
        proposals, _ = self.proposal_generator(features, sizes, None)
        found = self.roi_heads.detect(features, proposals, sizes)
        return [_rescaled(d, size, out) for d, size, out in zip(found, sizes, output_sizes, strict=True)]

    def forward(self, images: Sequence[Tensor], targets: Sequence[Targets]) -> dict[str, Tensor]:
        """The losses; distributed wrappers call this name."""
        return self.losses(images, targets)

    def _features(self, images: Sequence[Tensor]) -> tuple[Tensor, list[Size]]:
        """res4 of the batch, zero-padded after normalisation to its largest height and width."""
        sizes = [(image.shape[-2], image.shape[-1]) for image in images]
        height, width = (max(side) for side in zip(*sizes, strict=True))
        batch = self.pixel_mean.new_zeros((len(images), 3, height, width))
        for row, image, (h, w) in zip(batch, images, sizes, strict=True):
            row[:, :h, :w] = (image - self.pixel_mean) / self.pixel_std
        batch = batch.contiguous(memory_format=torch.channels_last)
        return self.backbone(batch)["res4"], sizes


def _rescaled(found: Detections, size: Size, output: Size) -> Detections:
    """From resized to original pixels; boxes that vanish are dropped, as in Detectron2's postprocessing."""
    scale = found.boxes.new_tensor([output[1] / size[1], output[0] / size[0]] * 2)
    boxes = clip_boxes_to_image(found.boxes * scale, output)
    kept = (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])
    return Detections(boxes[kept], found.scores[kept], found.classes[kept])
