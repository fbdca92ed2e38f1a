"""Hashes what of a recipe can move a number: a part of every cell's identity."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from yacs.config import CfgNode

from transfer.recipes.architectures import NAMED_BY, Architecture, architecture_of
from transfer.recipes.facts_of_weights import manifest_keys
from transfer.recipes.resolve import flatten, known

# What moves no number and so belongs to no identity: how often to save, how many processes read images, and
# the world that a schedule is for (what it moves stands in the batch, the learning rate and the schedule).
NEUTRAL_KEYS = (
    "SOLVER.CHECKPOINT_PERIOD",
    "DATALOADER.NUM_WORKERS",
    "SOLVER.REFERENCE_WORLD_SIZE",
    "MODEL.VIT.CHECKPOINTING",
    "FEATURES.BATCH_SIZE",
)
# Keys that came when there were records already. At their defaults they change nothing and are left out, so
# that the cells of those records are known again. A key that is added to defaults.yaml is added here.
LATER_KEYS = (
    "MODEL.BACKBONE.FROZEN",
    "MODEL.SIMPLE_PYRAMID.",
    "MODEL.TAP_PYRAMID.",
    "MODEL.UPERNET.",
    *("MODEL.VIT.REL_BIAS_TOKENS", "MODEL.VIT.REL_BIAS_SHARED"),
    "MODEL.RPN.CONV_DIMS",
    *(f"MODEL.ROI_BOX_HEAD.{name}" for name in ("NUM_CONV", "CONV_DIM", "NORM")),
    "MODEL.ROI_BOX_HEAD.CLS_AGNOSTIC_BBOX_REG",
    *(f"MODEL.ROI_BOX_HEAD.{name}" for name in ("USE_SIGMOID_CE", "USE_FED_LOSS")),
    "MODEL.ROI_BOX_HEAD.FED_LOSS_",
    "MODEL.ROI_BOX_CASCADE_HEAD.",
    "MODEL.ROI_MASK_HEAD.NORM",
    "MODEL.SEM_SEG_HEAD.DROPOUT",
    "INPUT.SCALE_OF",
    "INPUT.SIZES_FOR_PATCH",
    "INPUT.COLOR_AUG_SSD",
    "INPUT.CROP.SINGLE_CATEGORY_MAX_AREA",
    "INPUT.CROP.MIN_SIZE_BEFORE",
    "SOLVER.OPTIMIZER",
    "SOLVER.BETAS",
    "SOLVER.NO_WEIGHT_DECAY",
    "SOLVER.LAYER_DECAY",
    "SOLVER.LR_SCHEDULER_NAME",
    "SOLVER.BASE_LR_END",
    "SOLVER.POLY_LR_POWER",
    "SOLVER.CLIP_GRADIENTS.",
    "TEST.SLIDING_WINDOW.",
    "FEATURES.",
    "PROBE.",
)


def recipe_sha256(cfg: CfgNode) -> str:
    """Hashes every key that can move a number but those that belong to the weights.

    On several families a recipe has one hash: its rows stand in one table, whatever their weights are of.
    """
    flat = flatten(cfg)
    row = architecture_of(flat)
    left_out = {*NEUTRAL_KEYS, *manifest_keys(row.family).values()}
    moving = {
        key: value
        for key, value in flat.items()
        if key not in left_out and not key.startswith(row.foreign) and not _silent(key, value, row)
    }
    return hashlib.sha256(json.dumps(moving, sort_keys=True).encode()).hexdigest()


def _silent(key: str, value: Any, row: Architecture) -> bool:
    """Tells whether a key says nothing: a later one at its default, or what names and makes the family."""
    if key.startswith(LATER_KEYS):
        return bool(value == known()[key])
    if len(row.kin) == 1:
        return False
    demanded = row.demands.get(key) == (value,)
    return key == NAMED_BY or (
        key.startswith(f"{row.family.section}.") and (demanded or value == known()[key])
    )
