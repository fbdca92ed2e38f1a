"""Says which share of the learning rate a parameter has, by its name: layer decay, for both engines.

Early layers get a smaller rate (Clark et al., arXiv 2003.10555; BEiT): rate * decay ^ (layers behind it).
What a ViT has beside patches, positions and blocks (registers, norms; in detectors the class token) counts as
the neck, whose share is 1, as in Detectron2. Which do not decay is the business of `transfer.engines.solver`.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from yacs.config import CfgNode

from transfer.recipes.architectures import architecture_of
from transfer.recipes.convnext import CONVNEXT
from transfer.recipes.own import OWN
from transfer.recipes.resolve import flatten
from transfer.recipes.vit import VIT


def rate_factor(cfg: CfgNode) -> Callable[[str], float]:
    """Returns the rule of SOLVER.LAYER_DECAY for the recipe's family: a parameter's name -> its factor.

    Segmentors have the rules of BEiT's and ConvNeXt's code for them, detectors those of ViTDet and ConvNeXt.
    """
    decay, row = cfg.SOLVER.LAYER_DECAY, architecture_of(flatten(cfg))
    if decay == 1.0:
        return lambda name: 1.0
    if row.family is VIT:
        return lambda name: vit_factor(name, decay, cfg.MODEL.VIT.DEPTH, token=row.semantic)
    if row.family is OWN:  # its blocks are named as a ViT's
        return lambda name: vit_factor(name, decay, cfg.MODEL.OWN.BLOCKS)
    assert row.family is CONVNEXT, "recipes of other families are refused"
    return lambda name: convnext_factor(name, decay, cfg.MODEL.CONVNEXT.DEPTHS, by_stage=row.semantic)


def vit_factor(name: str, decay: float, depth: int, token: bool = False) -> float:
    """Returns the rate's factor of a parameter of a model on a ViT with so many blocks.

    It is Detectron2's `get_vit_lr_decay_rate`: patches and positions are layer 0, block i is layer i + 1, and
    all else is layer depth + 1, whose factor is 1. token: the class token is layer 0, too, as in BEiT's code.
    """
    layer = depth + 1
    if name.startswith("backbone."):
        block = re.search(r"\.blocks\.(\d+)\.", name)
        first = (".pos_embed", ".patch_embed", *([".cls_token"] if token else []))
        if any(part in name for part in first):
            layer = 0
        elif block:
            layer = int(block[1]) + 1
    return decay ** (depth + 1 - layer)


def convnext_factor(name: str, decay: float, depths: list[int], by_stage: bool = False) -> float:
    """Returns the rate's factor of a parameter of a model on a ConvNeXt with such stages.

    It is the rule of the authors' detection code ("layer_wise"): three blocks of the third stage share a
    layer, every other stage is one, and a downsampling belongs to the stage behind it. So ConvNeXt-T has 6
    layers and B 12, and the neck and the heads are one more, whose factor is 1. by_stage: that of their
    segmentation code ("stage_wise"), where stage i is layer i and every downsampling layer 0 of as many.
    """
    third = -(-depths[2] // 3)
    layers = third + 3
    layer = layers + 1
    found = re.search(r"\.(downsample_layers|stages)\.(\d)\.(\d+)\.", name)
    if name.startswith("backbone.") and found:
        kind, stage, block = found[1], int(found[2]), int(found[3])
        if by_stage:
            layer = 0 if kind == "downsample_layers" else stage + 1
        elif kind == "downsample_layers":
            layer = {0: 0, 1: 2, 2: 3, 3: layers}[stage]
        else:
            layer = {0: 1, 1: 2, 2: 3 + block // 3, 3: layers}[stage]
    return decay ** (layers + 1 - layer)
