"""Puts the heads that both engines share into Detectron2's SemanticSegmentor, and tests it in windows.

Detectron2 has no linear head, no UperNet and no windows that overlap. Its segmentor normalises, pads, runs
the backbone, asks the head for losses, and brings logits to the image's size where there are no windows.
"""

from __future__ import annotations

from typing import Any

from detectron2.layers import ShapeSpec
from detectron2.modeling import SEM_SEG_HEADS_REGISTRY
from torch import Tensor, nn

from transfer.engines.class_maps.build import build_head
from transfer.engines.class_maps.head import ClassMapHead, Size
from transfer.engines.class_maps.segment import class_map, in_windows
from transfer.samples.sample import Sample


class _Asked(ClassMapHead):
    """Answers as Detectron2's segmentor asks a head."""

    loss_weight: float
    ignore_value: int  # with which the segmentor pads class maps
    stride: int  # of the first map

    def forward(  # type: ignore[override]  # Detectron2's signature
        self, features: dict[str, Tensor], targets: Tensor | None = None
    ) -> tuple[Tensor | None, dict[str, Tensor]]:
        """(None, losses) in training; else (N, classes, H, W) logits of the padded images."""
        height, width = (side * self.stride for side in features[self.features[0]].shape[-2:])
        if targets is None:
            return self.upsampled(self.logits(features), (height, width), (height, width)), {}
        losses = self.losses(features, (height, width), targets)
        return None, {name: self.loss_weight * loss for name, loss in losses.items()}


def _asked(cfg: Any, input_shape: dict[str, ShapeSpec]) -> nn.Module:
    """Builds the shared head, and puts it under Detectron2's signature in its place."""
    channels = {name: int(shape.channels or 0) for name, shape in input_shape.items()}
    strides = {name: int(shape.stride or 0) for name, shape in input_shape.items()}
    head = build_head(cfg, channels, strides)
    kind = type(head)
    head.__class__ = type(kind.__name__, (_Asked, kind), {})
    assert isinstance(head, _Asked)
    head.loss_weight, head.ignore_value = cfg.MODEL.SEM_SEG_HEAD.LOSS_WEIGHT, head.ignore
    head.stride = strides[head.features[0]]
    return head


@SEM_SEG_HEADS_REGISTRY.register()
def LinearHead(cfg: Any, input_shape: dict[str, ShapeSpec]) -> nn.Module:
    """Builds the shared head of that name, by which recipes ask for it."""
    return _asked(cfg, input_shape)


@SEM_SEG_HEADS_REGISTRY.register()
def UPerHead(cfg: Any, input_shape: dict[str, ShapeSpec]) -> nn.Module:
    """Builds the shared head of that name, by which recipes ask for it."""
    return _asked(cfg, input_shape)


def windowed(model: Any, sample: Sample, window: tuple[Size, Size]) -> Tensor:
    """Predicts the uint8 class map of a sample at its original size; `window` is its size and stride."""
    image = (sample.image.to(model.device) - model.pixel_mean) / model.pixel_std
    logits = in_windows(model.backbone, model.sem_seg_head, image, window)
    return class_map(logits, (sample.height, sample.width))
