"""Cuts a map into windows and puts it together again, by Detectron2's padding rule.

A map whose sides are no multiples of the window is padded with zeros on the right and below. The padding is
not masked: it takes part in the softmax of the last windows, as in Detectron2's ViT.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

Grid = tuple[int, int]


def padded(grid: Grid, side: int) -> Grid:
    """The smallest grid of whole windows that holds `grid`."""
    height, width = grid
    return height + -height % side, width + -width % side


def to_windows(x: Tensor, side: int) -> Tensor:
    """(N, H, W, C) -> (N * windows, side * side, C); an image's windows stand together, row by row."""
    n, height, width, channels = x.shape
    high, wide = padded((height, width), side)
    x = F.pad(x, (0, 0, 0, wide - width, 0, high - height))
    x = x.view(n, high // side, side, wide // side, side, channels)
    return x.transpose(2, 3).reshape(-1, side * side, channels)


def from_windows(windows: Tensor, side: int, grid: Grid) -> Tensor:
    """The reverse of `to_windows`, without the padding: -> (N, H, W, C)."""
    high, wide = padded(grid, side)
    channels = windows.shape[-1]
    x = windows.view(-1, high // side, wide // side, side, side, channels)
    x = x.transpose(2, 3).reshape(-1, high, wide, channels)
    return x[:, : grid[0], : grid[1]]
