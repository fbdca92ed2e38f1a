"""Gives Detectron2's SemanticSegmentor an FCN-16s head, and converts its samples and class maps.

Detectron2 has no such head; this one is made of its layers (MoCo paper, appendix A.5).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from detectron2.layers import Conv2d, ShapeSpec, get_norm
from detectron2.modeling import SEM_SEG_HEADS_REGISTRY
from fvcore.nn import weight_init
from torch import Tensor, nn

from transfer.engines.detectron2.class_maps import windowed
from transfer.engines.fcn16s import mean_cross_entropy, upsampled
from transfer.evaluation.prediction import Prediction
from transfer.samples.sample import Sample


@SEM_SEG_HEADS_REGISTRY.register()
class FCN16sHead(nn.Module):
    """Dilated 3x3 convolutions with norm and ReLU, then a 1x1 classifier, upsampled to the input."""

    def __init__(self, cfg: Any, input_shape: dict[str, ShapeSpec]) -> None:
        super().__init__()
        head = cfg.MODEL.SEM_SEG_HEAD
        self.feature = head.IN_FEATURES[0]
        shape = input_shape[self.feature]
        self.stride = shape.stride
        self.ignore_value = head.IGNORE_VALUE  # SemanticSegmentor pads the class maps with it
        self.loss_weight = head.LOSS_WEIGHT
        channels = shape.channels
        convs = []
        for _ in range(head.NUM_CONVS):
            convs.append(_dilated(channels, head.CONVS_DIM, head.DILATION, head.NORM))
            channels = head.CONVS_DIM
        self.convs = nn.Sequential(*convs)
        self.predictor = Conv2d(channels, head.NUM_CLASSES, kernel_size=1)
        weight_init.c2_msra_fill(self.predictor)
        nn.init.normal_(self.predictor.weight, std=0.01)  # assumed, as in DeepLab

    def forward(
        self, features: dict[str, Tensor], targets: Tensor | None = None
    ) -> tuple[Tensor | None, dict[str, Tensor]]:
        """(None, losses) in training; else (N, classes, H, W) logits at least as large as the input."""
        logits = self.predictor(self.convs(features[self.feature]))
        if self.training:
            assert targets is not None
            logits = upsampled(logits, self.stride, *targets.shape[-2:])
            loss = mean_cross_entropy(logits, targets, self.ignore_value)
            return None, {"loss_sem_seg": self.loss_weight * loss}
        height, width = (side * self.stride for side in logits.shape[-2:])
        return upsampled(logits, self.stride, height, width), {}


def _dilated(in_channels: int, channels: int, dilation: int, norm: str) -> Conv2d:
    conv = Conv2d(
        in_channels,
        channels,
        kernel_size=3,
        padding=dilation,
        dilation=dilation,
        bias=not norm,
        norm=get_norm(norm, channels),
        activation=F.relu,
    )
    weight_init.c2_msra_fill(conv)
    return conv


def losses(model: nn.Module, batch: Sequence[Sample]) -> dict[str, Tensor]:
    """Computes the losses of samples with class maps; `model` may be a distributed wrapper."""
    mean = getattr(model, "module", model).pixel_mean
    assert isinstance(mean, Tensor)
    inputs = [
        {"image": _filled(s.image, s.class_map.shape, mean.cpu()), "sem_seg": s.class_map.long()}
        for s in batch
        if s.class_map is not None
    ]
    found: dict[str, Tensor] = model(inputs)
    return found


def _filled(image: Tensor, size: Sequence[int], mean: Tensor) -> Tensor:
    """(3, h, w) uint8 -> (3, H, W), filled with the pixel mean, which is zero after normalisation."""
    height, width = image.shape[-2:]
    full = mean.expand(-1, *size).clone()
    full[:, :height, :width] = image
    return full


def predict(model: nn.Module, batch: Sequence[Sample]) -> list[Prediction]:
    """Predicts class maps at the original size, in windows where the model's builder said so."""
    window: Any = getattr(model, "window", None)
    if window:
        found = [windowed(model, sample, window).cpu().numpy() for sample in batch]
        return [Prediction(s.image_id, sem_seg=one) for s, one in zip(batch, found, strict=True)]
    inputs = [{"image": s.image, "height": s.height, "width": s.width} for s in batch]
    maps = [output["sem_seg"].argmax(0).to(torch.uint8).cpu() for output in model(inputs)]
    return [Prediction(s.image_id, sem_seg=m.numpy()) for s, m in zip(batch, maps, strict=True)]
