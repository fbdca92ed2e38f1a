"""Segments images by a head on the maps of a backbone: pixels in, a loss or class maps out.

The attribute names are those of Detectron2's SemanticSegmentor and of our heads for it, so that the parameter
names are too.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from yacs.config import CfgNode

from transfer.engines.class_maps.build import build_head
from transfer.engines.class_maps.head import ClassMapHead, Size
from transfer.engines.class_maps.segment import class_map, filled, in_windows, size_of
from transfer.engines.torchvision.backbones.necks import Backbone
from transfer.engines.torchvision.heads.fcn16s import FCN16sHead
from transfer.engines.torchvision.pixels import Normalizer
from transfer.evaluation.prediction import Prediction
from transfer.samples.sample import Sample


class SemanticSegmentor(nn.Module):
    """Joins backbone and head, and upsamples the logits to the image."""

    def __init__(
        self,
        normalizer: Normalizer,
        backbone: Backbone,
        sem_seg_head: FCN16sHead | ClassMapHead,
        loss_weight: float,
        window: tuple[Size, Size] | None = None,  # its size and stride, where images are tested in windows
    ):
        super().__init__()
        self.normalizer = normalizer
        self.backbone = backbone
        self.sem_seg_head = sem_seg_head
        self.loss_weight, self.window = loss_weight, window

    def forward(self, images: Sequence[Tensor], class_maps: Sequence[Tensor]) -> dict[str, Tensor]:
        """Computes the losses of (3, h_i, w_i) uint8 images; class maps are (H, W), at least as large."""
        classes = torch.stack(list(class_maps))  # (N, H, W)
        batch, _ = self.normalizer(images)
        batch = filled(batch, (classes.shape[1], classes.shape[2]), self.backbone.size_divisibility)
        losses = self.sem_seg_head.losses(self.backbone(batch), size_of(batch), classes)
        return {name: self.loss_weight * loss for name, loss in losses.items()}

    def segment(self, images: Sequence[Tensor], output_sizes: Sequence[Size]) -> list[Tensor]:
        """Predicts uint8 class maps in pixels of `output_sizes`, the original images' sizes."""
        batch, sizes = self.normalizer(images)
        logits = () if self.window else self.sem_seg_head.logits(self.backbone(batch)).split(1)
        found = []
        for number, (size, output) in enumerate(zip(sizes, output_sizes, strict=True)):
            if self.window:
                image = batch[number, :, : size[0], : size[1]]
                full = in_windows(self.backbone, self.sem_seg_head, image, self.window)
            else:  # one by one: 160 MB for an image of Cityscapes
                full = self.sem_seg_head.upsampled(logits[number], size_of(batch), size)
            found.append(class_map(full, output))
        return found


def build_segmentor(cfg: CfgNode, backbone: Backbone, normalizer: Normalizer) -> SemanticSegmentor:
    """Builds the model of a semantic recipe on a built backbone."""
    head, test = cfg.MODEL.SEM_SEG_HEAD, cfg.TEST.SLIDING_WINDOW
    fcn = head.NAME == "FCN16sHead"
    module = _fcn(cfg, backbone) if fcn else build_head(cfg, backbone.channels, backbone.strides)
    window = (tuple(test.SIZE), tuple(test.STRIDE)) if test.ENABLED else None
    return SemanticSegmentor(normalizer, backbone, module, head.LOSS_WEIGHT, window)


def _fcn(cfg: CfgNode, backbone: Backbone) -> FCN16sHead:
    head = cfg.MODEL.SEM_SEG_HEAD
    (name,) = head.IN_FEATURES
    feature = (name, backbone.channels[name], backbone.strides[name])
    choices = (head.CONVS_DIM, head.NUM_CONVS, head.DILATION, head.NORM, head.NUM_CLASSES)
    return FCN16sHead(feature, *choices, head.IGNORE_VALUE)


def losses(model: nn.Module, batch: Sequence[Sample]) -> dict[str, Tensor]:
    """Computes the losses of samples with class maps; `model` may be a distributed wrapper."""
    device = next(model.parameters()).device
    images = [sample.image.to(device, non_blocking=True) for sample in batch]
    maps = [s.class_map.to(device, non_blocking=True) for s in batch if s.class_map is not None]
    found: dict[str, Tensor] = model(images, maps)
    return found


def predict(model: SemanticSegmentor, batch: Sequence[Sample]) -> list[Prediction]:
    """Predicts class maps at the original size."""
    device = model.normalizer.mean.device
    images = [sample.image.to(device, non_blocking=True) for sample in batch]
    maps = model.segment(images, [(s.height, s.width) for s in batch])
    return [Prediction(s.image_id, sem_seg=m.cpu().numpy()) for s, m in zip(batch, maps, strict=True)]
