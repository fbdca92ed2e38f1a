"""Brings maps of one stride, as a plain ViT's blocks give them, to the four of a pyramid; for both engines.

Li et al. (arXiv 2111.11429, section 2) put a FPN on them so; BEiT's UperNet stands on the same layers.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from transfer.engines.norms import norm_layer

RATIOS = (4, 2, 1, 0.5)  # of a map's size, the first tap's first


def four_strides(width: int, norm: str) -> nn.ModuleList:
    """Makes the four ways from patches of 16 to strides of 4, 8, 16 and 32; all keep the width."""

    def twice() -> nn.ConvTranspose2d:
        return nn.ConvTranspose2d(width, width, 2, stride=2)

    fourfold = nn.Sequential(twice(), norm_layer(norm)(width), nn.GELU(), twice())
    return nn.ModuleList([fourfold, twice(), nn.Identity(), nn.MaxPool2d(2)])


class Taps(nn.Module):
    """(N, 3, H, W) -> four maps by the names of the outputs of `net`, with strides 4, 8, 16 and 32.

    net: a ViT of patches of 16 pixels with four taps, the earliest block first; norm: between the
    deconvolutions of the first.
    """

    def __init__(self, net: Any, norm: str):
        super().__init__()
        self.strides = {
            name: int(stride / ratio)
            for (name, stride), ratio in zip(net.strides.items(), RATIOS, strict=True)
        }
        self.channels: dict[str, int] = dict(net.channels)
        self.size_divisibility = max(self.strides.values())
        self.net = net
        self.scales = four_strides(next(iter(net.channels.values())), norm)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        maps = self.net(x)
        return {name: scale(maps[name]) for name, scale in zip(self.strides, self.scales, strict=True)}
