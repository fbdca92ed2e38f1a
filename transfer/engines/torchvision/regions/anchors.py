"""Makes Detectron2's anchors: unrounded, sizes before ratios, centred on stride * (x, y).

torchvision's generator rounds, orders ratios before sizes, and derives the stride from the padded image.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor


def cell_anchors(sizes: Sequence[float], aspect_ratios: Sequence[float]) -> Tensor:
    """(len(sizes) * len(aspect_ratios), 4) XYXY around (0, 0); an aspect ratio is height / width."""
    rows = []
    for size in sizes:
        for ratio in aspect_ratios:
            width = math.sqrt(size * size / ratio)
            height = ratio * width
            rows.append([-width / 2, -height / 2, width / 2, height / 2])
    return torch.tensor(rows)


def grid_anchors(cell: Tensor, height: int, width: int, stride: int) -> Tensor:
    """(height * width * A, 4): the cell's A anchors at every location, row by row."""
    xs = torch.arange(width, device=cell.device, dtype=cell.dtype) * stride
    ys = torch.arange(height, device=cell.device, dtype=cell.dtype) * stride
    y, x = torch.meshgrid(ys, xs, indexing="ij")
    shifts = torch.stack([x, y, x, y], dim=-1).reshape(-1, 1, 4)
    return (shifts + cell).reshape(-1, 4)
