"""Classifies each place of a backbone's maps by a linear layer: what frozen features are judged by.

The head of DINOv2 (arXiv 2304.07193, its BNHead) and DINOv3 (arXiv 2508.10104, eval/segmentation): channels
dropped in training, BatchNorm, a 1x1 convolution. Without norm and dropout, on four maps, it is iBOT's
(arXiv 2111.07832, mmsegmentation's FCNHead without convolutions).
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from transfer.engines.class_maps.head import ClassMapHead, resized
from transfer.engines.norms import norm_layer


class LinearHead(ClassMapHead):
    """Maps (N, C_i, h_i, w_i) by name -> logits (N, K, h, w) of the first map's size."""

    def __init__(self, channels: Mapping[str, int], norm: str, dropout: float, num_classes: int, ignore: int):
        super().__init__(channels, ignore)
        width = sum(channels.values())
        self.dropout = nn.Dropout2d(dropout)
        self.norm = norm_layer(norm)(width) if norm else nn.Identity()
        self.predictor = classifier(width, num_classes)

    def logits(self, maps: Mapping[str, Tensor]) -> Tensor:
        size = maps[self.features[0]].shape[-2:]
        joined = torch.cat([resized(maps[name], size) for name in self.features], 1)
        found: Tensor = self.predictor(self.norm(self.dropout(joined)))
        return found


def classifier(width: int, num_classes: int) -> nn.Conv2d:
    """Makes the 1x1 convolution that ends every head, drawn from N(0, 0.01) as mmsegmentation's."""
    made = nn.Conv2d(width, num_classes, 1)
    nn.init.normal_(made.weight, std=0.01)
    nn.init.zeros_(made.bias)  # type: ignore[arg-type]  # it has one
    return made
