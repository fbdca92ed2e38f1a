"""Builds the backbone of a recipe, with its neck: the family and the neck stand in the architecture's row."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import nn
from yacs.config import CfgNode

from transfer.engines import own, published
from transfer.engines.frozen import freeze
from transfer.engines.taps import Taps
from transfer.engines.torchvision.backbones import resnet
from transfer.engines.torchvision.backbones.necks import FPN, Backbone, C5Conv
from transfer.engines.torchvision.backbones.simple_pyramid import SimpleFeaturePyramid
from transfer.recipes.architectures import architecture_of
from transfer.recipes.convnext import CONVNEXT
from transfer.recipes.own import OWN
from transfer.recipes.resnet import RESNET
from transfer.recipes.resolve import flatten
from transfer.recipes.swin import SWIN
from transfer.recipes.vit import VIT

# Family -> a module with `build`. Where there is something to say it has `build_last_stage`, too, for an
# architecture whose head that stage is, and `NAMES`, (in the module, in a file) of segments that differ.
FAMILIES: dict[str, Any] = {
    RESNET.name: resnet,
    **dict.fromkeys((VIT.name, CONVNEXT.name, SWIN.name), published),
    OWN.name: own,
}
# Neck -> constructor: the family's backbone, the recipe, the name of the backbone's norms.
NECKS: dict[str, Callable[[Backbone, CfgNode, str], Backbone]] = {
    "none": lambda bottom_up, cfg, norm: bottom_up,
    "c5_conv": lambda bottom_up, cfg, norm: C5Conv(bottom_up, cfg.MODEL.C5_CONV.OUT_CHANNELS, norm),
    "fpn": lambda bottom_up, cfg, _: FPN(bottom_up, cfg.MODEL.FPN.OUT_CHANNELS, cfg.MODEL.FPN.NORM),
    "tap_pyramid": lambda net, cfg, _: FPN(
        Taps(net, cfg.MODEL.TAP_PYRAMID.NORM),
        cfg.MODEL.FPN.OUT_CHANNELS,
        cfg.MODEL.FPN.NORM,
        cfg.MODEL.TAP_PYRAMID.SQUARE_PAD,
    ),
    "simple_pyramid": lambda net, cfg, _: SimpleFeaturePyramid(
        net,
        cfg.MODEL.SIMPLE_PYRAMID.OUT_CHANNELS,
        cfg.MODEL.SIMPLE_PYRAMID.NORM,
        cfg.MODEL.SIMPLE_PYRAMID.SQUARE_PAD,
    ),
}


def build_backbone(cfg: CfgNode) -> Backbone:
    """Builds the recipe's backbone at its random initialisation."""
    flat = flatten(cfg)
    row = architecture_of(flat)
    bottom_up = FAMILIES[row.family.name].build(cfg)
    if cfg.MODEL.BACKBONE.FROZEN:
        freeze(bottom_up)
    return NECKS[row.neck](bottom_up, cfg, flat[row.family.norm] if row.family.norm else "")


def names_in_module(cfg: CfgNode) -> tuple[tuple[str, str], ...]:
    """Returns (in the module, in a file) of the segments that the recipe's backbone names in its own way."""
    found: tuple[tuple[str, str], ...] = getattr(
        FAMILIES[architecture_of(flatten(cfg)).family.name], "NAMES", ()
    )
    return found


def build_last_stage(cfg: CfgNode) -> tuple[nn.Sequential, int]:
    """Builds the last stage by itself, for the architecture whose head it is; with its number of channels."""
    found: tuple[nn.Sequential, int] = FAMILIES[architecture_of(flatten(cfg)).family.name].build_last_stage(
        cfg
    )
    return found
