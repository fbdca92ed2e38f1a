"""Turns our resolved recipe into Detectron2's own configuration."""

from __future__ import annotations

from typing import Any

import torch
from detectron2.config import CfgNode as Detectron2Config
from detectron2.config import get_cfg
from yacs.config import CfgNode

from transfer.engines.detectron2.resnet import name_parts  # its import registers them, too
from transfer.errors import TransferError
from transfer.recipes.architectures import ARCHITECTURES, FAMILIES, architecture_of
from transfer.recipes.resolve import flatten

# What this harness does itself and Detectron2 must therefore not do once more: the shared loop runs the
# autocast, our mapper the scale jitter, `transfer.recipes.scaling` the linear rule, our solver AdamW.
NOT_THEIRS = (
    "SOLVER.AMP.",
    "SOLVER.REFERENCE_WORLD_SIZE",
    *("SOLVER.OPTIMIZER", "SOLVER.BETAS", "SOLVER.NO_WEIGHT_DECAY", "SOLVER.POLY_LR_POWER"),
    "SOLVER.LAYER_DECAY",
    *("INPUT.SCALE_RANGE", "INPUT.SCALE_OF", "INPUT.SIZES_FOR_PATCH", "INPUT.COLOR_AUG_SSD"),
    *("INPUT.CROP.SINGLE_CATEGORY_MAX_AREA", "INPUT.CROP.MIN_SIZE_BEFORE"),
    "MODEL.BACKBONE.FROZEN",
    "TEST.SLIDING_WINDOW.",
    *("FEATURES.", "PROBE."),
)
_LATER = {family.facts[field] for family in FAMILIES for field in family.later}  # our parts obey them
_DENSEPOSE = ("MODEL.DENSEPOSE_ON", "MODEL.ROI_DENSEPOSE_HEAD.")  # known to the DensePose project


def detectron2_config(cfg: CfgNode, device: torch.device) -> Detectron2Config:
    """Sets every key of ours on Detectron2's defaults; we load the weights, so WEIGHTS stays empty.

    Keys of ours that Detectron2 lacks are there only in the recipes whose modules read them. TransferError
    for a DensePose recipe without the DensePose project.
    """
    config = get_cfg()
    if cfg.MODEL.DENSEPOSE_ON:
        _add_densepose(config)
    flat = flatten(cfg)
    row = architecture_of(flat)
    all_added = tuple(prefix for each in ARCHITECTURES.values() for prefix in each.added)
    for key, value in flat.items():
        dense = key.startswith(_DENSEPOSE) and not cfg.MODEL.DENSEPOSE_ON
        if dense or key in _LATER or key.startswith((*NOT_THEIRS, *row.foreign)):
            continue
        if key.startswith(all_added):
            if key.startswith(row.added):
                _add(config, key, value)
            continue
        config.merge_from_list([key, value])
    name_parts(config)
    config.MODEL.DEVICE = str(device)
    config.freeze()
    return config


def _add(config: Detectron2Config, key: str, value: Any) -> None:
    *path, name = key.split(".")
    node = config
    for part in path:
        if part not in node:
            node[part] = Detectron2Config()
        node = node[part]
    node[name] = value


def _add_densepose(config: Detectron2Config) -> None:
    try:
        from densepose import add_densepose_config
    except ImportError as error:
        raise TransferError(
            f"--engine detectron2: the DensePose project cannot be imported ({error}); put "
            "projects/DensePose of the Detectron2 checkout on PYTHONPATH and install `av`, or take "
            "--engine torchvision"
        ) from None
    add_densepose_config(config)
