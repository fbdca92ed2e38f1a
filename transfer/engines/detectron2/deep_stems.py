"""Puts deep stems and shortcuts that pool into Detectron2's ResNets, which its configuration does not know.

The stem is that of its DeepLab project; a shortcut pools in front of its own convolution. Both are put into a
model that is built, so that every backbone, neck and head on a ResNet takes them.
"""

from __future__ import annotations

import re

from detectron2.layers import CNNBlockBase
from detectron2.modeling import ResNet
from detectron2.projects.deeplab.resnet import DeepLabStem
from torch import nn
from yacs.config import CfgNode

from converters.models.resnet import pool_before

_FIRST_STAGE = re.compile(r"(.*\.)?res2\..*")  # it has no stride, so its shortcuts do not pool


def deepen(model: nn.Module, cfg: CfgNode) -> None:
    """Changes a new model in its place, as MODEL.RESNETS.STEM and AVG_DOWN of the recipe say."""
    resnets = cfg.MODEL.RESNETS
    found = [module for module in model.modules() if isinstance(module, ResNet)]
    for net in found if resnets.STEM == "deep" else ():
        device = next(net.parameters()).device
        net.stem = DeepLabStem(3, resnets.STEM_OUT_CHANNELS, resnets.NORM).to(device)
        if cfg.MODEL.BACKBONE.FREEZE_AT >= 1:
            net.stem.freeze()
    for name, block in model.named_modules() if resnets.AVG_DOWN else ():
        shortcut = getattr(block, "shortcut", None) if isinstance(block, CNNBlockBase) else None
        if isinstance(shortcut, nn.Conv2d) and not _FIRST_STAGE.fullmatch(name):
            pool_before(shortcut)
