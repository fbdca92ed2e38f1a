"""Turns queries and keys by their place in the map: the rotary positions of DINOv3 and of EVA-02.

Both split a head's channels in two halves by axis, and turn pairs of channels by place times frequency. They
differ in what a place is, in the frequencies, and in which channels make a pair. A kind's angles are
(places, head width / 2): first those of the row, then those of the column.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from converters.models.windows import Grid

# Cells of a side in EVA-02's pre-training, 224 pixels by 14; maps of other sizes are scaled to it.
EVA02_SIDE = 16


class Turn(NamedTuple):
    """Cosines and sines, each (places, head width); of windows (windows, 1, places, head width)."""

    cos: Tensor
    sin: Tensor
    pairs: str  # "halves": channel i with i + width/2; "neighbours": 2i with 2i + 1


def dinov3_places(size: int, cells: int) -> Tensor:
    """Centres of `size` cells on a map of `cells` that spans -1 to 1 (DINOv3, rope_position_encoding.py).

    Cells beyond the map, the padding of windows, go on outside of it.
    """
    return (torch.arange(size, dtype=torch.float32) + 0.5) / cells * 2 - 1


def eva02_places(size: int, cells: int) -> Tensor:
    """Numbers of the cells, scaled so that a map of any size spans the grid of the pre-training."""
    return torch.arange(size, dtype=torch.float32) / cells * EVA02_SIDE


def dinov3_frequencies(width: int, base: float) -> Tensor:
    """2 pi / base^(4i/width) for i below width/4; DINOv3's periods, in single precision."""
    return 2 * math.pi / base ** (4 * torch.arange(width // 4, dtype=torch.float32) / width)


def eva02_frequencies(width: int, base: float) -> Tensor:
    """1 / base^(4i/width) for i below width/4 (EVA-02 rope.py)."""
    return 1 / base ** (4 * torch.arange(width // 4, dtype=torch.float32) / width)


Places = Callable[[int, int], Tensor]
Frequencies = Callable[[int, float], Tensor]
KINDS: dict[str, tuple[Places, Frequencies, str]] = {
    "dinov3": (dinov3_places, dinov3_frequencies, "halves"),
    "eva02": (eva02_places, eva02_frequencies, "neighbours"),
}


def turn(kind: str, width: int, base: float, grid: Grid, size: Grid, device: torch.device) -> Turn:
    """The turns of a map of `grid` cells, for its first `size` cells, row by row; one row a place.

    width: channels of a head. A `size` beyond `grid` covers the padding of windows as well.
    """
    places, frequencies, pairs = KINDS[kind]
    speed = frequencies(width, base)
    rows, columns = (places(s, cells)[:, None] * speed for s, cells in zip(size, grid, strict=True))
    angles = torch.cat(
        [rows[:, None].expand(-1, size[1], -1), columns[None].expand(size[0], -1, -1)], -1
    ).flatten(0, 1)
    angles = angles.repeat(1, 2) if pairs == "halves" else angles.repeat_interleave(2, -1)
    return Turn(angles.cos().to(device), angles.sin().to(device), pairs)


def turned(x: Tensor, by: Turn) -> Tensor:
    """Turns (..., places, head width), in single precision at least; the result has the type of `x`."""
    if by.pairs == "halves":
        first, second = x.chunk(2, -1)
        partner = torch.cat([-second, first], -1)
    else:
        partner = torch.stack([-x[..., 1::2], x[..., ::2]], -1).flatten(-2)
    return (x * by.cos + partner * by.sin).to(x.dtype)
