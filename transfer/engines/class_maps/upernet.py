"""Classifies pixels by UperNet (Xiao et al., arXiv 1807.10221) on four maps of any family of backbones.

The coarsest map is pooled to squares of a few cells and joined with them, the finer ones are added to it from
top to bottom, and all four are fused. A second head on the third map gives a loss of its own in training.
Order, norms and interpolation are those of mmsegmentation's UPerHead and FCNHead, with which BEiT, MAE, iBOT,
ConvNeXt and Swin were judged: a convolution has no bias but a norm and a ReLU, corners are not aligned.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.ops import Conv2dNormActivation

from transfer.engines.class_maps.head import LOSS, ClassMapHead, Size, resized
from transfer.engines.class_maps.linear import classifier
from transfer.engines.norms import norm_layer
from transfer.engines.taps import four_strides

JUDGED = 2  # the map of the second head: BEiT's in_index, as in all configurations on top of it


@dataclass(frozen=True)
class UPerSettings:
    """Holds what a recipe says of the head; each is a key of it."""

    width: int
    pools: Sequence[int]  # cells of a side to which the coarsest map is pooled
    norm: str
    dropout: float
    num_classes: int
    ignore: int
    second_width: int
    second_weight: float


class UPerHead(ClassMapHead):
    """Four maps (N, C_i, h_i, w_i), the finest first -> logits (N, K, h, w) of the finest.

    flat: the maps are of one stride, as a ViT's are, and are brought to 4, 2, 1 and 1/2 times their size.
    """

    def __init__(self, channels: Mapping[str, int], settings: UPerSettings, flat: bool):
        super().__init__(channels, settings.ignore)
        widths, width, norm = list(channels.values()), settings.width, settings.norm
        self.scales = four_strides(widths[0], norm) if flat else None
        self.cells, self.second_weight = tuple(settings.pools), settings.second_weight
        self.pools = nn.ModuleList(_conv(widths[-1], width, 1, norm) for _ in self.cells)
        self.top = _conv(widths[-1] + len(self.cells) * width, width, 3, norm)
        self.laterals = nn.ModuleList(_conv(each, width, 1, norm) for each in widths[:-1])
        self.outputs = nn.ModuleList(_conv(width, width, 3, norm) for _ in widths[:-1])
        self.fusion = _conv(len(widths) * width, width, 3, norm)
        self.dropout = nn.Dropout2d(settings.dropout)
        self.predictor = classifier(width, settings.num_classes)
        self.auxiliary = nn.Sequential(
            _conv(widths[JUDGED], settings.second_width, 3, norm),
            nn.Dropout2d(settings.dropout),
            classifier(settings.second_width, settings.num_classes),
        )

    def logits(self, maps: Mapping[str, Tensor]) -> Tensor:
        return self._fused(self._scaled(maps))

    def losses(self, maps: Mapping[str, Tensor], image: Size, classes: Tensor) -> dict[str, Tensor]:
        scaled = self._scaled(maps)
        second = self.judged(self.auxiliary(scaled[JUDGED]), image, classes)
        return {
            LOSS: self.judged(self._fused(scaled), image, classes),
            f"{LOSS}_aux": self.second_weight * second,
        }

    def _scaled(self, maps: Mapping[str, Tensor]) -> list[Tensor]:
        found = [maps[name] for name in self.features]
        if self.scales is None:
            return found
        return [scale(one) for scale, one in zip(self.scales, found, strict=True)]

    def _fused(self, maps: list[Tensor]) -> Tensor:
        coarsest = maps[-1]
        pooled = [
            resized(conv(F.adaptive_avg_pool2d(coarsest, cells)), coarsest.shape[-2:])
            for cells, conv in zip(self.cells, self.pools, strict=True)
        ]
        merged = self.top(torch.cat([coarsest, *pooled], 1))
        size, found = maps[0].shape[-2:], [merged]
        for one, lateral, output in zip(maps[-2::-1], self.laterals[::-1], self.outputs[::-1], strict=True):
            merged = lateral(one) + resized(merged, one.shape[-2:])
            found.insert(0, output(merged))
        fused = self.fusion(torch.cat([resized(one, size) for one in found], 1))
        logits: Tensor = self.predictor(self.dropout(fused))
        return logits


def _conv(before: int, after: int, side: int, norm: str) -> Conv2dNormActivation:
    made = Conv2dNormActivation(before, after, side, norm_layer=norm_layer(norm), bias=False)
    nn.init.kaiming_normal_(made[0].weight, mode="fan_out", nonlinearity="relu")
    return made
