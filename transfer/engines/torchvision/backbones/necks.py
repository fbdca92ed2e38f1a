"""What turns pixels into feature maps: the ResNet alone, with a dilated res5 and a 3x3, or with a pyramid.

A backbone is a module (N, 3, H, W) -> {name: (N, C, H/stride, W/stride)} with `strides`, `channels` (by name)
and `size_divisibility`, to a multiple of which images are padded.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn
from yacs.config import CfgNode

from transfer.engines.torchvision.backbones.layers import NormConv2d, msra_fill, xavier_fill
from transfer.engines.torchvision.backbones.resnet import ResNet, Shape


class C5Conv(nn.Module):
    """A dilated res5 reduced by a 3x3 convolution with norm and ReLU (MoCo paper, appendix A.1)."""

    size_divisibility = 1

    def __init__(self, bottom_up: ResNet, out_channels: int, norm: str):
        super().__init__()
        self.bottom_up = bottom_up
        self.c5_conv = NormConv2d(bottom_up.channels["res5"], out_channels, 3, norm=norm, relu=True)
        msra_fill(self.c5_conv)
        self.strides = {"c5_conv": bottom_up.strides["res5"]}
        self.channels = {"c5_conv": out_channels}

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        return {"c5_conv": self.c5_conv(self.bottom_up(x)["res5"])}


class FPN(nn.Module):
    """Lin et al. 2017 with a max-pooled p6, as in Detectron2: norms behind every convolution where asked.

    torchvision's `FeaturePyramidNetwork` differs in names and interpolates to the lateral size, which is the
    same only where the padding is a multiple of 32.
    """

    size_divisibility = 32

    def __init__(self, bottom_up: ResNet, out_channels: int, norm: str):
        super().__init__()
        self.bottom_up = bottom_up
        self.levels = range(2, 6)
        for level in self.levels:
            lateral = NormConv2d(bottom_up.channels[f"res{level}"], out_channels, 1, norm=norm)
            output = NormConv2d(out_channels, out_channels, 3, norm=norm)
            for name, conv in (("lateral", lateral), ("output", output)):
                xavier_fill(conv)
                self.add_module(f"fpn_{name}{level}", conv)
        self.strides = {f"p{level}": 2**level for level in range(2, 7)}
        self.channels = dict.fromkeys(self.strides, out_channels)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        features = self.bottom_up(x)
        pyramid = {}
        merged: Tensor | None = None
        for level in reversed(self.levels):
            lateral = getattr(self, f"fpn_lateral{level}")(features[f"res{level}"])
            merged = lateral if merged is None else lateral + F.interpolate(merged, scale_factor=2.0)
            pyramid[f"p{level}"] = getattr(self, f"fpn_output{level}")(merged)
        pyramid["p6"] = F.max_pool2d(pyramid["p5"], kernel_size=1, stride=2)
        return pyramid


Backbone = ResNet | C5Conv | FPN


def build_backbone(cfg: CfgNode) -> Backbone:
    """The backbone that MODEL.BACKBONE.NAME names."""
    r = cfg.MODEL.RESNETS
    resnet = ResNet(resnet_shape(cfg), r.OUT_FEATURES, r.NORM, cfg.MODEL.BACKBONE.FREEZE_AT, r.RES5_DILATION)
    match cfg.MODEL.BACKBONE.NAME:
        case "build_resnet_fpn_backbone":
            return FPN(resnet, cfg.MODEL.FPN.OUT_CHANNELS, cfg.MODEL.FPN.NORM)
        case "build_resnet_c5_conv_backbone":
            return C5Conv(resnet, cfg.MODEL.C5_CONV.OUT_CHANNELS, r.NORM)
    return resnet


def resnet_shape(cfg: CfgNode) -> Shape:
    """MODEL.RESNETS as a Shape."""
    r = cfg.MODEL.RESNETS
    return Shape(
        r.DEPTH, r.NUM_GROUPS, r.WIDTH_PER_GROUP, r.STEM_OUT_CHANNELS, r.RES2_OUT_CHANNELS, r.STRIDE_IN_1X1
    )
