"""Builds the backbone of a recipe, with its neck: the family and the neck stand in the architecture's row."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import nn
from yacs.config import CfgNode

from transfer.engines.torchvision.backbones import resnet
from transfer.engines.torchvision.backbones.necks import FPN, Backbone, C5Conv
from transfer.recipes.architectures import architecture_of
from transfer.recipes.resnet import RESNET
from transfer.recipes.resolve import flatten

# Family -> a module with `build`, and `build_last_stage` where an architecture has that stage for its head.
FAMILIES: dict[str, Any] = {RESNET.name: resnet}
# Neck -> constructor: the family's backbone, the recipe, the name of the backbone's norms.
NECKS: dict[str, Callable[[Backbone, CfgNode, str], Backbone]] = {
    "none": lambda bottom_up, cfg, norm: bottom_up,
    "c5_conv": lambda bottom_up, cfg, norm: C5Conv(bottom_up, cfg.MODEL.C5_CONV.OUT_CHANNELS, norm),
    "fpn": lambda bottom_up, cfg, _: FPN(bottom_up, cfg.MODEL.FPN.OUT_CHANNELS, cfg.MODEL.FPN.NORM),
}


def build_backbone(cfg: CfgNode) -> Backbone:
    """Builds the recipe's backbone at its random initialisation."""
    flat = flatten(cfg)
    row = architecture_of(flat)
    return NECKS[row.neck](FAMILIES[row.family.name].build(cfg), cfg, flat[row.family.norm])


def build_last_stage(cfg: CfgNode) -> tuple[nn.Sequential, int]:
    """Builds the last stage by itself, for the architecture whose head it is; with its number of channels."""
    found: tuple[nn.Sequential, int] = FAMILIES[architecture_of(flatten(cfg)).family.name].build_last_stage(
        cfg
    )
    return found
