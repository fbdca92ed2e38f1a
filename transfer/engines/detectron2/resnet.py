"""Registers the ResNet parts that Detectron2 does not ship: the neck of dilated C5, the head of C4."""

from __future__ import annotations

from typing import Any

import torch.nn.functional as F
from detectron2.layers import Conv2d, ShapeSpec, get_norm
from detectron2.modeling import BACKBONE_REGISTRY, ROI_HEADS_REGISTRY, Backbone
from detectron2.modeling.backbone import build_resnet_backbone
from detectron2.modeling.roi_heads import Res5ROIHeads
from fvcore.nn.weight_init import c2_msra_fill
from torch import Tensor, nn

from transfer.engines.detectron2.basic_blocks import (
    basic_stage,
    build_basic_resnet_backbone,
    is_basic,
    named_for_basic_blocks,
)


def name_parts(config: Any) -> None:
    """Gives the parts of a recipe the names under which they are registered for its kind of blocks."""
    if is_basic(config):
        for section in (config.MODEL.BACKBONE, config.MODEL.ROI_HEADS):
            section.NAME = named_for_basic_blocks(section.NAME)


class C5ConvBackbone(Backbone):
    """A ResNet with dilated res5, then a 3x3 convolution with norm and ReLU: one map, `c5_conv`."""

    def __init__(self, bottom_up: Backbone, out_channels: int, norm: str) -> None:
        super().__init__()
        shape = bottom_up.output_shape()["res5"]
        self.bottom_up = bottom_up
        self.c5_conv = Conv2d(
            shape.channels,
            out_channels,
            3,
            padding=1,
            bias=False,
            norm=get_norm(norm, out_channels),
            activation=F.relu,
        )
        c2_msra_fill(self.c5_conv)
        self._shape = {"c5_conv": ShapeSpec(channels=out_channels, stride=shape.stride)}

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        return {"c5_conv": self.c5_conv(self.bottom_up(x)["res5"])}

    def output_shape(self) -> dict[str, ShapeSpec]:
        return self._shape


@BACKBONE_REGISTRY.register()
def build_resnet_c5_conv_backbone(cfg: Any, input_shape: ShapeSpec) -> C5ConvBackbone:
    """Builds the backbone under the name that the dilated-C5 recipes give it."""
    build = build_basic_resnet_backbone if is_basic(cfg) else build_resnet_backbone
    bottom_up = build(cfg, input_shape)
    return C5ConvBackbone(bottom_up, cfg.MODEL.C5_CONV.OUT_CHANNELS, cfg.MODEL.RESNETS.NORM)


@ROI_HEADS_REGISTRY.register()
class Res5ROIHeadsExtraNorm(Res5ROIHeads):
    """Res5ROIHeads with one more norm after res5 and before the spatial mean (MoCo paper, section 4.2).

    Registered under the MoCo authors' name. Added from outside as a child of the public attribute `res5`:
    overriding the private builder is what froze it upstream.
    """

    def __init__(self, cfg: Any, input_shape: Any) -> None:
        super().__init__(cfg, input_shape)
        if is_basic(cfg):
            self.res5 = nn.Sequential(*basic_stage(cfg, 5))
        self.res5.add_module("norm", get_norm(cfg.MODEL.RESNETS.NORM, self.res5[-1].out_channels))
