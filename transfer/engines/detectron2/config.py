"""From our resolved recipe to Detectron2's own configuration."""

from __future__ import annotations

import torch
from detectron2.config import CfgNode as Detectron2Config
from detectron2.config import get_cfg
from yacs.config import CfgNode

from transfer.config import flatten

# The shared loop runs the autocast; the data come from our mapper; the rest belongs to modules of ours.
NOT_THEIRS = (
    "SOLVER.AMP.ENABLED",
    "INPUT.SCALE_RANGE",
    "MODEL.DENSEPOSE_ON",
    "MODEL.C5_CONV.OUT_CHANNELS",
    "MODEL.SEM_SEG_HEAD.NUM_CONVS",
    "MODEL.SEM_SEG_HEAD.DILATION",
)


def detectron2_config(cfg: CfgNode, device: torch.device) -> Detectron2Config:
    """Detectron2's defaults with every key of ours set; the weights are loaded by us, so WEIGHTS stays empty.

    SOLVER.AMP stays off: the shared loop runs the autocast, in bfloat16 and without a gradient scaler.
    """
    config = get_cfg()
    for key, value in flatten(cfg).items():
        if key not in NOT_THEIRS and not key.startswith("MODEL.ROI_DENSEPOSE_HEAD."):
            config.merge_from_list([key, value])
    config.MODEL.DEVICE = str(device)
    config.freeze()
    return config
