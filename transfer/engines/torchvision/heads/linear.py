"""Classifies each place of a backbone's maps by a linear layer: what frozen features are judged by.

The head of DINOv2 (arXiv 2304.07193, its BNHead) and DINOv3 (arXiv 2508.10104, eval/segmentation): channels
dropped in training, BatchNorm, a 1x1 convolution. Without norm and dropout, on four maps, it is iBOT's
(arXiv 2111.07832, mmsegmentation's FCNHead without convolutions).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from transfer.engines.norms import norm_layer

Size = tuple[int, int]  # (height, width)


class LinearHead(nn.Module):
    """Maps (N, C_i, h_i, w_i) by name -> logits (N, K, h, w) of the first map's size."""

    def __init__(self, channels: Mapping[str, int], norm: str, dropout: float, num_classes: int, ignore: int):
        super().__init__()
        self.features, self.ignore = tuple(channels), ignore
        width = sum(channels.values())
        self.dropout = nn.Dropout2d(dropout)
        self.norm = norm_layer(norm)(width) if norm else nn.Identity()
        self.predictor = nn.Conv2d(width, num_classes, 1)
        nn.init.normal_(self.predictor.weight, std=0.01)
        nn.init.zeros_(self.predictor.bias)  # type: ignore[arg-type]  # it has one

    def forward(self, maps: Mapping[str, Tensor]) -> Tensor:
        logits: Tensor = self.predictor(self.norm(self.dropout(_joined([maps[n] for n in self.features]))))
        return logits

    def upsampled(self, logits: Tensor, image: Size, kept: Size) -> Tensor:
        """Logits (N, K, h, w) of images of the size `image` -> (N, K, *kept), what lies beyond cut off.

        Bilinear, with the pixels' own corners, in single precision at least.
        """
        logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
        full = F.interpolate(logits, image, mode="bilinear", align_corners=False)
        return full[..., : kept[0], : kept[1]]

    def loss(self, logits: Tensor, classes: Tensor) -> Tensor:
        """The cross-entropy of (N, K, H, W) against (N, H, W), averaged over all pixels of the crops.

        One that is not judged counts with a loss of 0, as in mmsegmentation and DINOv3.
        """
        total = F.cross_entropy(logits, classes.long(), ignore_index=self.ignore, reduction="sum")
        return total / classes.numel()


def _joined(maps: Sequence[Tensor]) -> Tensor:
    """Brings all maps to the size of the first and joins their channels."""
    size = maps[0].shape[-2:]
    return torch.cat([_resized(one, size) for one in maps], 1)


def _resized(one: Tensor, size: torch.Size) -> Tensor:
    if one.shape[-2:] == size:
        return one
    return F.interpolate(one, size, mode="bilinear", align_corners=False)
