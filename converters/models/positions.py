"""Fits learned positions to the grid of an image: absolute ones, BEiT's tables, Detectron2's relative ones.

A file holds what was learned, on the grid of the pre-training. Nothing is interpolated but here.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from converters.models.windows import Grid

# How positions were fitted to other grids by their publishers' code.
FORMULAS = ("detectron2", "offset", "antialias", "bilinear")
OFFSET = 0.1  # DINO, iBOT and DINOv2 without registers add it to the size, against rounding
CLASS_ROWS = 3  # of BEiT's tables: class token to patch, patch to class token, class token to itself


def absolute(positions: Tensor, grid: Grid, formula: str) -> Tensor:
    """(1, side * side, D) -> (1, H * W, D) on another grid, in single precision at least.

    detectron2: bicubic to the size, as in MAE and transformers. offset: bicubic by the factor (H + 0.1) /
    side. antialias: bicubic with a filter (DINOv2 with registers, timm). bilinear: timm, for Google's files.
    """
    side = math.isqrt(positions.shape[1])
    if grid == (side, side):
        return positions
    wide = torch.promote_types(positions.dtype, torch.float32)
    x = positions.to(wide).reshape(1, side, side, -1).permute(0, 3, 1, 2)
    if formula == "offset":
        factor = ((grid[0] + OFFSET) / side, (grid[1] + OFFSET) / side)
        x = bicubic(x, grid, factor)
    elif formula == "bilinear":
        x = F.interpolate(x, grid, mode="bilinear")
    else:
        x = bicubic(x, grid, antialias=formula == "antialias")
    return x.flatten(2).transpose(1, 2)


def bicubic(
    x: Tensor, grid: Grid, factor: tuple[float, float] | None = None, antialias: bool = False
) -> Tensor:
    """Resizes (N, C, H, W) to a grid by cubic interpolation; factor: the scales to count with.

    torch sums its gradient on a GPU in no fixed order, and refuses to where deterministic algorithms are
    asked for. There it is a product with a matrix for each axis, equal but for rounding.
    """
    if not torch.are_deterministic_algorithms_enabled():
        size = grid if factor is None else None
        return F.interpolate(x, size, factor, mode="bicubic", antialias=antialias)
    down, across = (
        torch.from_numpy(_axis(old, new, factor and factor[n], antialias)).to(x)
        for n, (old, new) in enumerate(zip(x.shape[2:], grid, strict=True))
    )
    with torch.autocast(x.device.type, enabled=False):
        return down @ x @ across.T


@lru_cache(maxsize=64)
def _axis(old: int, new: int, factor: float | None, antialias: bool) -> np.ndarray:
    """The matrix (new, old), in double precision, by which cubic interpolation resizes an axis."""
    units = torch.eye(old, dtype=torch.float64, device="cpu")[None, None]
    size, scale = ((new, old), None) if factor is None else (None, (factor, 1.0))
    return F.interpolate(units, size, scale, mode="bicubic", antialias=antialias)[0, 0].numpy()


def table_bias(table: Tensor, side: int, grid: Grid, rows: Tensor, formula: str) -> Tensor:
    """BEiT's table ((2 side - 1)^2 + 3, heads) -> the bias of every query and key, (heads, L, L).

    L is H * W, and one more in front for the class token; rows: `pairs` of the grid. On other grids places
    grow geometrically from the middle, and the table is read between them: by cubic splines as in BEiT's code
    (whose `scipy.interpolate.interp2d` is gone), or linearly as in timm where `formula` is "bilinear".
    """
    heads = table.shape[1]
    near = table[:-CLASS_ROWS]
    if grid != (side, side):
        down, across = (
            torch.from_numpy(_reader(2 * side - 1, 2 * cells - 1, formula == "bilinear")).to(table)
            for cells in grid
        )
        near = torch.einsum("ys,xt,sth->yxh", down, across, near.view(2 * side - 1, -1, heads)).flatten(0, 1)
    return torch.cat([near, table[-CLASS_ROWS:]])[rows].permute(2, 0, 1)


def pairs(grid: Grid, class_token: bool, device: torch.device) -> Tensor:
    """The row of a table for each query and key, (L, L) of int64; L as in `table_bias`.

    Row (dy + H - 1) * (2 W - 1) + dx + W - 1 is for a query (dy, dx) behind its key; the class token's come
    behind all these.
    """
    height, width = grid
    axes = (torch.arange(cells, device=device) for cells in grid)
    y, x = (axis.flatten() for axis in torch.meshgrid(*axes, indexing="ij"))
    found = (y[:, None] - y + height - 1) * (2 * width - 1) + x[:, None] - x + width - 1
    if class_token:
        last = (2 * height - 1) * (2 * width - 1)
        found = F.pad(found, (1, 0, 1, 0))
        found[0, 1:], found[1:, 0], found[0, 0] = last, last + 1, last + 2
    return found


@lru_cache(maxsize=64)
def _reader(old: int, new: int, linear: bool) -> np.ndarray:
    """The matrix (new, old) that reads `new` neighbouring distances out of a table of `old`.

    The ratio is 1.01 at least, so an axis that keeps its size is read anew too, as in both their codes.
    """
    half, low, high = old // 2, 1.01, 1.5
    while high - low > 1e-6:  # the ratio at which `half` growing steps reach the far end
        ratio = (low + high) / 2
        low, high = (low, ratio) if (1 - ratio**half) / (1 - ratio) > new // 2 else (ratio, high)
    far = np.cumsum([ratio**step for step in range(half)])
    places = np.concatenate([-far[::-1], [0], far])
    wanted = np.clip(np.arange(new) - new // 2, places[0], places[-1])
    if linear:
        return np.stack([np.interp(wanted, places, row) for row in np.eye(old)], 1)
    from scipy.interpolate import make_interp_spline

    return make_interp_spline(places, np.eye(old), k=3)(wanted)


def decomposed_bias(query: Tensor, rows: Tensor, columns: Tensor, grid: Grid) -> Tensor:
    """Detectron2's decomposed relative positions: (N, heads, H * W, d) -> (N, heads, H * W, H * W).

    rows, columns: (2 * cells - 1, d), read linearly where the grid has another number of cells (Li et al.,
    arXiv 2112.01526, section 4.1). The query is the unscaled one.
    """
    height, width = grid
    q = query.unflatten(2, grid)
    down = torch.einsum("nhyxd,ykd->nhyxk", q, _distances(rows, height).to(q.dtype))
    across = torch.einsum("nhyxd,xkd->nhyxk", q, _distances(columns, width).to(q.dtype))
    return (down[..., None] + across[..., None, :]).reshape(*query.shape[:3], height * width)


def _distances(table: Tensor, cells: int) -> Tensor:
    """(2 * any - 1, d) -> (cells, cells, d): what is learned about each query and key on one axis."""
    if len(table) != 2 * cells - 1:
        table = F.interpolate(table.T[None], 2 * cells - 1, mode="linear")[0].T
    place = torch.arange(cells, device=table.device)
    return table[place[:, None] - place + cells - 1]
