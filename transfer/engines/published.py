"""Builds the backbones whose function the converters have: ViT, ConvNeXt and Swin, of any publisher.

The module that computes what a publisher's code computes is one for the whole project, in
`converters.models`. Here a recipe is turned into the facts and options that it asks for.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import nn
from yacs.config import CfgNode

from converters.backbone import CheckpointError
from converters.models.build import build as build_published
from transfer.errors import TransferError
from transfer.recipes.architectures import architecture_of
from transfer.recipes.convnext import CONVNEXT
from transfer.recipes.family import Family
from transfer.recipes.resolve import flatten
from transfer.recipes.swin import SWIN
from transfer.recipes.vit import VIT


def _vit(vit: CfgNode) -> dict[str, Any]:
    return {
        "taps": tuple(vit.TAPS),
        "norm_taps": vit.NORM_TAPS,
        "window": vit.WINDOW,
        "global_blocks": tuple(vit.GLOBAL_BLOCKS),
        "rel_pos_tokens": vit.REL_POS_TOKENS,
        "rel_bias_tokens": vit.REL_BIAS_TOKENS,
        "rel_bias_shared": vit.REL_BIAS_SHARED,
        "drop_path": vit.DROP_PATH,
        "checkpointing": vit.CHECKPOINTING,
    }


def _hierarchy(stages: CfgNode) -> dict[str, Any]:
    return {
        "out_stages": tuple(stages.OUT_STAGES),
        "norm_last": stages.NORM_LAST,
        "norm_maps": stages.NORM_MAPS,
        "drop_path": stages.DROP_PATH,
    }


# Family -> the options of its function, from its section of a recipe.
OPTIONS: dict[str, Callable[[CfgNode], dict[str, Any]]] = {
    VIT.name: _vit,
    CONVNEXT.name: _hierarchy,
    SWIN.name: _hierarchy,
}


def build(cfg: CfgNode) -> nn.Module:
    """Builds the recipe's backbone at its random initialisation, without what the recipe has no use for.

    TransferError for facts or options of no such network.
    """
    flat = flatten(cfg)
    family = architecture_of(flat).family
    try:
        built: Any = build_published(_manifest(flat, family), **OPTIONS[family.name](_section(cfg, family)))
    except CheckpointError as error:
        raise TransferError(f"{family.section}: {error}; change the keys of the recipe that say so") from None
    if family.unused(flat) and hasattr(built, "norm"):
        del built.norm  # it would be trained without a gradient
    module: nn.Module = built
    return module


def _manifest(flat: dict[str, Any], family: Family) -> dict[str, Any]:
    return {"family": family.in_manifest, **{field: flat[key] for field, key in family.facts.items()}}


def _section(cfg: CfgNode, family: Family) -> CfgNode:
    node = cfg
    for name in family.section.split("."):
        node = node[name]
    return node
