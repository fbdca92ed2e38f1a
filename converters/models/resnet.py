"""Builds the stem and the stages of a ResNet of any depth and width, from torchvision's blocks.

torchvision's `ResNet` class fixes the widths and ends in a classifier; here a stage is a list of its blocks.
Deep stems and shortcuts that pool (ResNet-C and D, He et al., arXiv 1812.01187) are as timm computes them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models.resnet import BasicBlock, Bottleneck

from converters.models.resnet_depths import BASIC, BLOCKS

MakeNorm = Callable[[int], nn.Module]  # channels -> norm
# (torchvision's name, Detectron2's) of the children of a block and of a stem. Read backwards, in the same
# order, it is the inverse.
NAMES = (
    *((f"bn{n}.", f"conv{n}.norm.") for n in (1, 2, 3)),
    ("downsample.1.", "shortcut.norm."),
    ("downsample.0.", "shortcut."),
)


@dataclass(frozen=True)
class Shape:
    """The numbers and choices that make a ResNet, in Detectron2's MODEL.RESNETS terms."""

    depth: int
    num_groups: int
    width_per_group: int
    stem_out_channels: int
    res2_out_channels: int
    stride_in_1x1: bool
    deep_stem: bool = False
    avg_down: bool = False


def make_stage(shape: Shape, stage: int, make_norm: MakeNorm, dilation: int = 1) -> nn.Sequential:
    """Makes res2..res5 (`stage` 2..5): (N, C, H, W) -> (N, res2_out * 2^(stage-2), H/s, W/s); s 1 or 2.

    A dilated stage keeps the resolution.
    """
    out_channels = shape.res2_out_channels * 2 ** (stage - 2)
    in_channels = shape.stem_out_channels if stage == 2 else out_channels // 2
    blocks = []
    for i in range(BLOCKS[shape.depth][stage - 2]):
        stride = 2 if i == 0 and stage > 2 and dilation == 1 else 1
        downsample = None
        if i == 0 and (shape.depth not in BASIC or in_channels != out_channels):
            conv = nn.Conv2d(in_channels, out_channels, 1, stride, bias=False)
            if shape.avg_down and stage > 2:
                pool_before(conv)
            downsample = nn.Sequential(conv, make_norm(out_channels))
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
    make_norm: MakeNorm,
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


def pool_before(conv: nn.Conv2d) -> None:
    """Makes a shortcut's convolution see means of 2x2 pixels instead of skipping pixels; its tensors stay.

    A shortcut of a dilated stage has no stride to replace: there the means are taken around every pixel, so
    that every second of them is what the undilated network has.
    """
    pool = _halved if conv.stride[0] == 2 else _smoothed
    conv.stride = (1, 1)
    conv.register_forward_pre_hook(pool)


def _halved(conv: nn.Module, inputs: tuple[Any, ...]) -> Tensor:
    return F.avg_pool2d(inputs[0], 2, 2, ceil_mode=True, count_include_pad=False)


def _smoothed(conv: nn.Module, inputs: tuple[Any, ...]) -> Tensor:
    """Repeats the last row and column, so that a mean at the border is one of the pixels that are there."""
    return F.avg_pool2d(F.pad(inputs[0], (0, 1, 0, 1), mode="replicate"), 2, 1)


class Stem(nn.Module):
    """Convolutions with norms and ReLUs, max-pool: (N, 3, H, W) -> (N, stem_out, H/4, W/4).

    One convolution of 7x7, or three of 3x3 (`deep`), the first two half as wide.
    """

    def __init__(self, out_channels: int, make_norm: MakeNorm, deep: bool = False):
        super().__init__()
        kernel = 3 if deep else 7
        widths = [out_channels // 2, out_channels // 2, out_channels] if deep else [out_channels]
        for number, (before, after) in enumerate(zip([3, *widths], widths, strict=False), 1):
            conv = nn.Conv2d(before, after, kernel, 2 if number == 1 else 1, kernel // 2, bias=False)
            self.add_module(f"conv{number}", conv)
            self.add_module(f"bn{number}", make_norm(after))
        self.numbers = range(1, len(widths) + 1)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        init_convs(self)

    def forward(self, x: Tensor) -> Tensor:
        for number in self.numbers:
            x = self.relu(getattr(self, f"bn{number}")(getattr(self, f"conv{number}")(x)))
        pooled: Tensor = self.maxpool(x)
        return pooled


def init_convs(module: nn.Module) -> None:
    """Fills convolutions with ReLU behind them as Detectron2 does (He et al., fan out)."""
    for child in module.modules():
        if isinstance(child, nn.Conv2d):
            nn.init.kaiming_normal_(child.weight, mode="fan_out", nonlinearity="relu")
