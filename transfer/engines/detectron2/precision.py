"""Keeps coordinates and batch statistics in float32 when Detectron2's layers run in half precision.

Detectron2 autocasts to float16, whose 11 bits its layers are written for. In bfloat16's 8 bits its RoIAlign
would move regions by up to four pixels, and its norms would lose their statistics.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from detectron2.layers import FrozenBatchNorm2d, NaiveSyncBatchNorm, ROIAlign
from detectron2.layers.batch_norm import LayerNorm
from torch import Tensor, nn


class WideROIAlign(ROIAlign):
    """Pools in float32 and returns the features' type; without half precision it is the layer itself."""

    def forward(self, input: Tensor, rois: Tensor) -> Tensor:
        return _wide(super().forward, input, rois)


class WideNaiveSyncBatchNorm(NaiveSyncBatchNorm):
    """Takes the statistics in float32, as the layer itself does for float16 alone."""

    def forward(self, input: Tensor) -> Tensor:
        return _wide(super().forward, input)


class WideFrozenBatchNorm2d(FrozenBatchNorm2d):
    """Scales and shifts in float32."""

    def forward(self, x: Tensor) -> Tensor:
        return _wide(super().forward, x)


class WideLayerNorm(LayerNorm):
    """Takes mean and variance of the channels in float32."""

    def forward(self, x: Tensor) -> Tensor:
        return _wide(super().forward, x)


_WIDE: dict[type[nn.Module], type[nn.Module]] = {
    ROIAlign: WideROIAlign,
    NaiveSyncBatchNorm: WideNaiveSyncBatchNorm,
    FrozenBatchNorm2d: WideFrozenBatchNorm2d,
    LayerNorm: WideLayerNorm,
}


def keep_wide(model: nn.Module) -> None:
    """Gives the layers that half precision would hurt a forward in float32; names and weights stay."""
    for module in model.modules():
        wide = _WIDE.get(type(module))
        if wide is not None:
            module.__class__ = wide  # type: ignore[assignment]


def _wide(forward: Callable[..., Tensor], x: Tensor, *others: Tensor) -> Tensor:
    if x.dtype not in (torch.bfloat16, torch.float16):
        return forward(x, *others)
    with torch.autocast(x.device.type, enabled=False):
        return forward(x.float(), *(other.float() for other in others)).to(x.dtype)
