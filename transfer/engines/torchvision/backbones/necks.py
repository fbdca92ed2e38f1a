"""Builds necks between a backbone and the heads: a 3x3 convolution on a dilated last stage, or a pyramid.

A backbone, with its neck or without, is a module (N, 3, H, W) -> {name: (N, C, H/stride, W/stride)} with
`strides`, `channels` (by name) and `size_divisibility`, to a multiple of which images are padded.
"""

from __future__ import annotations

from typing import Protocol

import torch.nn.functional as F
from torch import Tensor, nn

from transfer.engines.torchvision.backbones.layers import NormConv2d, msra_fill, xavier_fill


class Backbone(Protocol):
    """The maps that heads are built on; it is an nn.Module too."""

    size_divisibility: int
    strides: dict[str, int]
    channels: dict[str, int]

    def __call__(self, x: Tensor) -> dict[str, Tensor]: ...


class C5Conv(nn.Module):
    """A dilated last stage reduced by a 3x3 convolution with norm and ReLU (MoCo paper, appendix A.1)."""

    size_divisibility = 1

    def __init__(self, bottom_up: Backbone, out_channels: int, norm: str):
        super().__init__()
        self.bottom_up = bottom_up
        (self.feature,) = bottom_up.channels
        self.c5_conv = NormConv2d(bottom_up.channels[self.feature], out_channels, 3, norm=norm, relu=True)
        msra_fill(self.c5_conv)
        self.strides = {"c5_conv": bottom_up.strides[self.feature]}
        self.channels = {"c5_conv": out_channels}

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        return {"c5_conv": self.c5_conv(self.bottom_up(x)[self.feature])}


class FPN(nn.Module):
    """Lin et al. 2017 with a max-pooled p6, as in Detectron2: norms behind every convolution where asked.

    Level n has stride 2^n. torchvision's `FeaturePyramidNetwork` differs in names and interpolates to the
    lateral size, which is the same only where the padding is a multiple of 32. `square_pad` is the side to
    which a batch is padded, 0: to a multiple of `size_divisibility`.
    """

    size_divisibility = 32

    def __init__(self, bottom_up: Backbone, out_channels: int, norm: str, square_pad: int = 0):
        super().__init__()
        self.bottom_up, self.square_pad = bottom_up, square_pad
        self.features = {stride.bit_length() - 1: name for name, stride in bottom_up.strides.items()}
        for level, name in self.features.items():
            lateral = NormConv2d(bottom_up.channels[name], out_channels, 1, norm=norm)
            output = NormConv2d(out_channels, out_channels, 3, norm=norm)
            for kind, conv in (("lateral", lateral), ("output", output)):
                xavier_fill(conv)
                self.add_module(f"fpn_{kind}{level}", conv)
        self.strides = {f"p{level}": 2**level for level in (*self.features, max(self.features) + 1)}
        self.channels = dict.fromkeys(self.strides, out_channels)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        maps = self.bottom_up(x)
        pyramid = {}
        merged: Tensor | None = None
        for level, name in reversed(self.features.items()):
            lateral = getattr(self, f"fpn_lateral{level}")(maps[name])
            merged = lateral if merged is None else lateral + F.interpolate(merged, scale_factor=2.0)
            pyramid[f"p{level}"] = getattr(self, f"fpn_output{level}")(merged)
        top = max(self.features)
        pyramid[f"p{top + 1}"] = F.max_pool2d(pyramid[f"p{top}"], kernel_size=1, stride=2)
        return pyramid
