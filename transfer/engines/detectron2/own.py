"""Registers a user's own module under a pyramid of Detectron2's; `transfer.engines.own` builds it."""

from __future__ import annotations

from typing import Any

from detectron2.layers import ShapeSpec
from detectron2.modeling import BACKBONE_REGISTRY, FPN, Backbone
from detectron2.modeling.backbone.fpn import LastLevelMaxPool
from detectron2.modeling.backbone.vit import SimpleFeaturePyramid

from transfer.engines import own
from transfer.engines.detectron2.vit import wrapped
from transfer.recipes.pyramids import SCALES


@BACKBONE_REGISTRY.register()
def build_usermodule_fpn_backbone(cfg: Any, input_shape: ShapeSpec) -> FPN:
    """Builds a pyramid on four maps of the module."""
    neck, maps = cfg.MODEL.FPN, wrapped(own.build(cfg))
    return FPN(maps, [*maps.output_shape()], neck.OUT_CHANNELS, norm=neck.NORM, top_block=LastLevelMaxPool())


@BACKBONE_REGISTRY.register()
def build_usermodule_simple_pyramid_backbone(cfg: Any, input_shape: ShapeSpec) -> SimpleFeaturePyramid:
    """Builds ViTDet's pyramid on the last map of the module."""
    neck, net = cfg.MODEL.SIMPLE_PYRAMID, wrapped(own.build(cfg))
    (feature,) = net.output_shape()
    top = LastLevelMaxPool()
    return SimpleFeaturePyramid(
        net, feature, neck.OUT_CHANNELS, SCALES, top_block=top, norm=neck.NORM, square_pad=neck.SQUARE_PAD
    )


@BACKBONE_REGISTRY.register()
def build_usermodule_backbone(cfg: Any, input_shape: ShapeSpec) -> Backbone:
    """Builds the module without a neck, for heads that stand on its maps."""
    return wrapped(own.build(cfg))
