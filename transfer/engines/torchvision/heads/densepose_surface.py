"""Turns the DensePose head's charts into the part, U and V of every pixel of a detected box."""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from transfer.evaluation.densepose.surface import PackedSurface


def packed_surfaces(charts: Mapping[str, Tensor], boxes: Tensor) -> list[PackedSurface]:
    """`surfaces` as a prediction holds them."""
    return [PackedSurface.pack(part.cpu().numpy(), uv.cpu().numpy()) for part, uv in surfaces(charts, boxes)]


@torch.no_grad()
def surfaces(charts: Mapping[str, Tensor], boxes: Tensor) -> list[tuple[Tensor, Tensor]]:
    """Charts (D, channels, S, S) and boxes (D, 4) in image pixels -> D pairs (h, w) uint8 part, (2, h, w) uv.

    w and h are cut to integers and at least 1, as in Detectron2's DensePose project.
    """
    sizes = (boxes[:, 2:] - boxes[:, :2]).long().clamp(min=1).tolist()
    return [_surface({n: c[i] for n, c in charts.items()}, h, w) for i, (w, h) in enumerate(sizes)]


def _surface(charts: dict[str, Tensor], height: int, width: int) -> tuple[Tensor, Tensor]:
    coarse, fine = (_resized(charts[name], height, width) for name in ("coarse", "fine"))
    part = fine.argmax(dim=0) * (coarse.argmax(dim=0) > 0)  # (h, w)
    # U and V have a map for each patch; only the one that won is read.
    rows, columns = (_neighbours(charts["u"].shape[-1], n, part.device) for n in (height, width))
    uv = torch.zeros((2, height, width), device=part.device)
    for row, row_share in rows:
        for column, column_share in columns:
            share = row_share[:, None] * column_share
            for out, name in zip(uv, ("u", "v"), strict=True):
                out += charts[name][part, row[:, None], column] * share
    return part.to(torch.uint8), uv * (part > 0)


def _resized(chart: Tensor, height: int, width: int) -> Tensor:
    return F.interpolate(chart[None], (height, width), mode="bilinear", align_corners=False)[0]


def _neighbours(size: int, count: int, device: torch.device) -> tuple[tuple[Tensor, Tensor], ...]:
    """The two cells (count,) of `size` between which each resized cell lies, with their weights."""
    at = ((torch.arange(count, device=device) + 0.5) * (size / count) - 0.5).clamp(min=0)
    low = at.long()
    weight = at - low
    return (low, 1 - weight), ((low + 1).clamp(max=size - 1), weight)
