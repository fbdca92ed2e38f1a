"""Builds the ResNet of Detectron2's detectors from torchvision's blocks.

torchvision's `ResNet` class fixes the widths and ends in a classifier; here a stage is a list of its blocks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torch import Tensor, nn
from torchvision.models.resnet import BasicBlock, Bottleneck
from yacs.config import CfgNode

from transfer.engines.norms import norm_layer
from transfer.recipes.resnet import BASIC, BLOCKS

# (torchvision's name, Detectron2's) of the children of a block.
NAMES = (
    *((f"bn{n}.", f"conv{n}.norm.") for n in (1, 2, 3)),
    ("downsample.1.", "shortcut.norm."),
    ("downsample.0.", "shortcut."),
)


@dataclass(frozen=True)
class Shape:
    """The five numbers and the stride placement that make a ResNet, in Detectron2's MODEL.RESNETS terms."""

    depth: int
    num_groups: int
    width_per_group: int
    stem_out_channels: int
    res2_out_channels: int
    stride_in_1x1: bool


def make_stage(shape: Shape, stage: int, norm: str, dilation: int = 1) -> nn.Sequential:
    """Makes res2..res5 (`stage` 2..5): (N, C, H, W) -> (N, res2_out * 2^(stage-2), H/s, W/s); s 1 or 2.

    A dilated stage keeps the resolution.
    """
    out_channels = shape.res2_out_channels * 2 ** (stage - 2)
    in_channels = shape.stem_out_channels if stage == 2 else out_channels // 2
    make_norm = norm_layer(norm)
    blocks = []
    for i in range(BLOCKS[shape.depth][stage - 2]):
        stride = 2 if i == 0 and stage > 2 and dilation == 1 else 1
        downsample = None
        if i == 0 and (shape.depth not in BASIC or in_channels != out_channels):
            downsample = nn.Sequential(
                nn.Conv2d(in_channels, out_channels, 1, stride, bias=False), make_norm(out_channels)
            )
        inputs = in_channels if i == 0 else out_channels
        blocks.append(_block(shape, inputs, out_channels, stride, downsample, dilation, make_norm))
    stage_module = nn.Sequential(*blocks)
    init_convs(stage_module)
    return stage_module


def _block(
    shape: Shape,
    in_channels: int,
    out_channels: int,
    stride: int,
    downsample: nn.Module | None,
    dilation: int,
    make_norm: Callable[[int], nn.Module],
) -> nn.Module:
    if shape.depth in BASIC:
        basic = BasicBlock(in_channels, out_channels, stride, downsample, norm_layer=make_norm)
        for conv in (basic.conv1, basic.conv2):  # as a bottleneck's 3x3; torchvision refuses the argument
            conv.dilation = conv.padding = (dilation, dilation)
        return basic
    planes = out_channels // Bottleneck.expansion
    # torchvision's bottleneck channels: planes * base_width / 64 * groups; Detectron2's: width * groups.
    base_width = shape.width_per_group * (out_channels // shape.res2_out_channels) * 64 / planes
    block = Bottleneck(
        in_channels,
        planes,
        stride,
        downsample,
        shape.num_groups,
        base_width,  # type: ignore[arg-type]  # a float is right here: it is only multiplied
        dilation,
        norm_layer=make_norm,
    )
    if shape.stride_in_1x1:  # MSRA's placement; torchvision only knows the 3x3
        block.conv1.stride, block.conv2.stride = block.conv2.stride, block.conv1.stride
    return block


class Stem(nn.Module):
    """7x7 convolution, norm, ReLU, max-pool: (N, 3, H, W) -> (N, stem_out, H/4, W/4)."""

    def __init__(self, out_channels: int, make_norm: Callable[[int], nn.Module]):
        super().__init__()
        self.conv1 = nn.Conv2d(3, out_channels, 7, 2, 3, bias=False)
        self.bn1 = make_norm(out_channels)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        init_convs(self)

    def forward(self, x: Tensor) -> Tensor:
        return self.maxpool(self.relu(self.bn1(self.conv1(x))))


class ResNet(nn.Module):
    """Stem and stages up to the last of `out_features`; (N, 3, H, W) -> {"res4": (N, C, H/16, W/16), ...}.

    The first `freeze_at` of (stem, res2, ...) are frozen, norms included. `strides` and `channels` are those
    of the outputs, by name.
    """

    size_divisibility = 1

    def __init__(
        self, shape: Shape, out_features: Sequence[str], norm: str, freeze_at: int, res5_dilation: int = 1
    ):
        super().__init__()
        last = max(int(name.removeprefix("res")) for name in out_features)
        self.stem = Stem(shape.stem_out_channels, norm_layer("FrozenBN" if freeze_at >= 1 else norm))
        self.stages = range(2, last + 1)
        self.out_features = tuple(out_features)
        numbers = {name: int(name.removeprefix("res")) for name in out_features}
        self.channels = {name: shape.res2_out_channels * 2 ** (n - 2) for name, n in numbers.items()}
        self.strides = {name: 2**n for name, n in numbers.items()}
        if "res5" in self.strides and res5_dilation > 1:
            self.strides["res5"] = self.strides["res5"] // 2
        for stage in self.stages:
            dilation = res5_dilation if stage == 5 else 1
            stage_norm = "FrozenBN" if freeze_at >= stage else norm
            setattr(self, f"res{stage}", make_stage(shape, stage, stage_norm, dilation))
        for stage, name in enumerate(["stem", *(f"res{s}" for s in self.stages)], start=1):
            if freeze_at >= stage:
                getattr(self, name).requires_grad_(False)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        x = self.stem(x)
        features = {}
        for stage in self.stages:
            x = features[f"res{stage}"] = getattr(self, f"res{stage}")(x)
        return {name: features[name] for name in self.out_features}


def init_convs(module: nn.Module) -> None:
    """Fills convolutions with ReLU behind them as Detectron2 does (He et al., fan out)."""
    for child in module.modules():
        if isinstance(child, nn.Conv2d):
            nn.init.kaiming_normal_(child.weight, mode="fan_out", nonlinearity="relu")


def build(cfg: CfgNode) -> ResNet:
    """Builds the recipe's ResNet up to the last of MODEL.RESNETS.OUT_FEATURES."""
    r = cfg.MODEL.RESNETS
    return ResNet(_shape(cfg), r.OUT_FEATURES, r.NORM, cfg.MODEL.BACKBONE.FREEZE_AT, r.RES5_DILATION)


def build_last_stage(cfg: CfgNode) -> tuple[nn.Sequential, int]:
    """Builds the recipe's res5 by itself, the head of C4 recipes; with its number of channels.

    It may end in the extra norm of the MoCo paper (section 4.2), under the name "norm".
    """
    norm = cfg.MODEL.RESNETS.NORM
    stage, channels = make_stage(_shape(cfg), 5, norm), cfg.MODEL.RESNETS.RES2_OUT_CHANNELS * 8
    if cfg.MODEL.ROI_HEADS.NAME == "Res5ROIHeadsExtraNorm":
        stage.add_module("norm", norm_layer(norm)(channels))
    return stage, channels


def _shape(cfg: CfgNode) -> Shape:
    r = cfg.MODEL.RESNETS
    return Shape(
        r.DEPTH, r.NUM_GROUPS, r.WIDTH_PER_GROUP, r.STEM_OUT_CHANNELS, r.RES2_OUT_CHANNELS, r.STRIDE_IN_1X1
    )
