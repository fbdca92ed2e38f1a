"""Builds ResNet-18 and 34 of any width from Detectron2's own blocks.

Its configuration knows them at one width, undilated and never as the head of a C4 detector; its classes know
no such limits. So each recipe's name of a part has a counterpart here, which `named_for_basic_blocks` puts
into the configuration.
"""

from __future__ import annotations

from typing import Any

from detectron2.layers import CNNBlockBase, ShapeSpec
from detectron2.modeling import BACKBONE_REGISTRY, FPN, ROI_HEADS_REGISTRY, ResNet
from detectron2.modeling.backbone.fpn import LastLevelMaxPool
from detectron2.modeling.backbone.resnet import BasicBlock, BasicStem
from detectron2.modeling.roi_heads import Res5ROIHeads
from torch import nn

from converters.models.resnet_depths import BASIC


def is_basic(cfg: Any) -> bool:
    """Tells whether the ResNet of this configuration has basic blocks."""
    return cfg.MODEL.RESNETS.DEPTH in BASIC


def named_for_basic_blocks(name: str) -> str:
    """Returns the registered name of a backbone or of heads, as a ResNet of basic blocks needs them."""
    return {
        "build_resnet_backbone": "build_basic_resnet_backbone",
        "build_resnet_fpn_backbone": "build_basic_resnet_fpn_backbone",
        "Res5ROIHeads": "BasicRes5ROIHeads",
    }.get(name, name)


def basic_stage(cfg: Any, stage: int, dilation: int = 1) -> list[CNNBlockBase]:
    """Makes the blocks of res2..res5 (`stage` 2..5); a dilated stage keeps the resolution.

    Both 3x3 convolutions of a block are dilated, as in the embedded engine.
    """
    r = cfg.MODEL.RESNETS
    out_channels = r.RES2_OUT_CHANNELS << (stage - 2)
    count = BASIC[r.DEPTH][stage - 2]
    stride = 1 if stage == 2 or dilation > 1 else 2
    blocks: list[CNNBlockBase] = ResNet.make_stage(
        BasicBlock,
        count,
        stride_per_block=[stride] + [1] * (count - 1),
        in_channels=r.STEM_OUT_CHANNELS if stage == 2 else out_channels // 2,
        out_channels=out_channels,
        norm=r.NORM,
    )
    # Detectron2's block has no argument for it.
    for conv in (conv for block in blocks for conv in (block.conv1, block.conv2)):
        conv.dilation = conv.padding = (dilation, dilation)
    return blocks


@BACKBONE_REGISTRY.register()
def build_basic_resnet_backbone(cfg: Any, input_shape: ShapeSpec) -> ResNet:
    """Builds the counterpart of `build_resnet_backbone`."""
    r = cfg.MODEL.RESNETS
    stem = BasicStem(input_shape.channels, r.STEM_OUT_CHANNELS, r.NORM)
    stages = [basic_stage(cfg, stage, r.RES5_DILATION if stage == 5 else 1) for stage in (2, 3, 4, 5)]
    return ResNet(stem, stages, out_features=r.OUT_FEATURES, freeze_at=cfg.MODEL.BACKBONE.FREEZE_AT)


@BACKBONE_REGISTRY.register()
def build_basic_resnet_fpn_backbone(cfg: Any, input_shape: ShapeSpec) -> FPN:
    """Builds the counterpart of `build_resnet_fpn_backbone`."""
    return FPN(
        build_basic_resnet_backbone(cfg, input_shape),
        cfg.MODEL.FPN.IN_FEATURES,
        cfg.MODEL.FPN.OUT_CHANNELS,
        norm=cfg.MODEL.FPN.NORM,
        top_block=LastLevelMaxPool(),
        fuse_type=cfg.MODEL.FPN.FUSE_TYPE,
    )


@ROI_HEADS_REGISTRY.register()
class BasicRes5ROIHeads(Res5ROIHeads):
    """Res5ROIHeads with a res5 of basic blocks, put into the public attribute: as many channels go out."""

    def __init__(self, cfg: Any, input_shape: Any) -> None:
        super().__init__(cfg, input_shape)
        self.res5 = nn.Sequential(*basic_stage(cfg, 5))
