"""Builds the simple feature pyramid of ViTDet (Li et al., arXiv 2203.16527, section 3): one map in, five out.

The last map of a plain backbone is brought to four scales by deconvolutions and a max-pool, and each scale
gets a 1x1 and a 3x3 convolution with norm. The names are those of Detectron2's `SimpleFeaturePyramid`.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from transfer.engines.norms import norm_layer
from transfer.engines.torchvision.backbones.layers import NormConv2d
from transfer.engines.torchvision.backbones.necks import Backbone
from transfer.errors import TransferError
from transfer.recipes.pyramids import SCALES


class SimpleFeaturePyramid(nn.Module):
    """(N, 3, H, W) -> p2..p6 on the last output of `net`, whose stride has to be 16.

    `square_pad` is the side to which a batch is padded, 0: to a multiple of `size_divisibility`.
    """

    size_divisibility = 32

    def __init__(self, net: Backbone, out_channels: int, norm: str, square_pad: int = 0):
        super().__init__()
        self.feature, stride = list(net.strides.items())[-1]
        if stride != 16:
            raise TransferError(
                f"the simple feature pyramid stands on a map of stride 16, got {stride}; take a backbone "
                "with patches of 16 pixels"
            )
        self.square_pad = square_pad
        channels = net.channels[self.feature]
        self.strides: dict[str, int] = {}
        for scale in SCALES:
            level = int(stride / scale).bit_length() - 1
            layers, width = upsampling(channels, scale, norm)
            layers += [
                NormConv2d(width, out_channels, 1, norm=norm),
                NormConv2d(out_channels, out_channels, 3, norm=norm),
            ]
            self.add_module(f"simfp_{level}", nn.Sequential(*layers))
            self.strides[f"p{level}"] = 2**level
        self.levels = [int(name[1:]) for name in self.strides]
        self.strides[f"p{self.levels[-1] + 1}"] = 2 ** (self.levels[-1] + 1)
        self.channels = dict.fromkeys(self.strides, out_channels)
        self.net = net

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        last = self.net(x)[self.feature]
        maps: dict[str, Tensor] = {f"p{n}": getattr(self, f"simfp_{n}")(last) for n in self.levels}
        coarsest = f"p{self.levels[-1]}"
        maps[f"p{self.levels[-1] + 1}"] = F.max_pool2d(maps[coarsest], kernel_size=1, stride=2)
        return maps


def upsampling(channels: int, scale: float, norm: str) -> tuple[list[nn.Module], int]:
    """Returns the layers that bring a map of so many channels to 4, 2, 1 or 1/2 times its size.

    With them comes the number of channels behind them: each deconvolution halves it.
    """
    if scale == 4:
        return [
            nn.ConvTranspose2d(channels, channels // 2, 2, stride=2),
            norm_layer(norm)(channels // 2) if norm else nn.Identity(),
            nn.GELU(),
            nn.ConvTranspose2d(channels // 2, channels // 4, 2, stride=2),
        ], channels // 4
    if scale == 2:
        return [nn.ConvTranspose2d(channels, channels // 2, 2, stride=2)], channels // 2
    return ([] if scale == 1 else [nn.MaxPool2d(2)]), channels
