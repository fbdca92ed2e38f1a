"""Holds the fitted positions against slow oracles that are written down cell by cell."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import torch
from scipy.interpolate import RectBivariateSpline

from converters.models.positions import absolute, bicubic, decomposed_bias, pairs, table_bias

GRIDS = ((5, 9), (12, 12), (3, 4))
FORMULAS = ("detectron2", "offset", "antialias", "bilinear")

CPU = torch.device("cpu")


def _kernel(formula: str, x: float) -> float:
    """Keys' cubic (a -0.75, torch's; -0.5 with a filter, Pillow's), or a hat."""
    x = abs(x)
    if formula == "bilinear":
        return max(0.0, 1 - x)
    a = -0.5 if formula == "antialias" else -0.75
    if x < 1:
        return ((a + 2) * x - (a + 3)) * x * x + 1
    return (((x - 5) * x + 8) * x - 4) * a if x < 2 else 0.0


def _weights(old: int, new: int, formula: str) -> np.ndarray:
    """(new, old): what each old cell gives to each new one, with centres of cells at halves."""
    step = old / (new + 0.1) if formula == "offset" else old / new  # the scale that torch is told: inverse
    step = 1 / ((new + 0.1) / old) if formula == "offset" else step
    stretch = max(step, 1.0) if formula == "antialias" else 1.0
    found = np.zeros((new, old))
    for i in range(new):
        centre = (i + 0.5) * step - 0.5
        for cell in range(int(np.floor(centre - 3 * stretch)), int(np.ceil(centre + 3 * stretch)) + 1):
            weight = _kernel(formula, (cell - centre) / stretch)
            if formula == "antialias":  # cells outside count for nothing, the rest is scaled to one
                if 0 <= cell < old:
                    found[i, cell] += weight
            else:
                found[i, min(max(cell, 0), old - 1)] += weight
    return found / found.sum(1, keepdims=True)


@pytest.mark.parametrize("formula", FORMULAS)
@pytest.mark.parametrize("grid", GRIDS, ids=str)
def test_absolute_positions(formula: str, grid: tuple[int, int]) -> None:
    positions = torch.randn(1, 49, 6, generator=torch.Generator().manual_seed(0))
    down, across = (_weights(7, cells, formula) for cells in grid)
    expected = np.einsum("ys,xt,stc->yxc", down, across, positions.view(7, 7, 6).numpy())
    found = absolute(positions, grid, formula).view(*grid, 6).numpy()
    assert np.abs(found - expected).max() < 1e-5
    assert absolute(positions, (7, 7), formula) is positions


@pytest.mark.parametrize("antialias", [False, True])
@pytest.mark.parametrize("factor", [None, (5.1 / 7, 9.1 / 6)])
def test_deterministic_resizing(factor: tuple[float, float] | None, antialias: bool) -> None:
    """Is the same, with its gradient, by matrices that no device adds up in another order."""
    x = torch.randn(1, 3, 7, 6, generator=torch.Generator().manual_seed(0), requires_grad=True)
    wanted = torch.randn(1, 3, 5, 9, generator=torch.Generator().manual_seed(1))
    found = []
    for asked in (False, True):
        torch.use_deterministic_algorithms(asked)
        try:
            with torch.autocast("cpu", torch.bfloat16):
                resized = bicubic(x, (5, 9), factor, antialias)
        finally:
            torch.use_deterministic_algorithms(False)
        assert resized.dtype == torch.float32
        assert ("Upsample" in str(resized.grad_fn)) is not asked
        found.append((resized, *torch.autograd.grad(resized, x, wanted)))
    for usual, ordered in zip(*found, strict=True):
        torch.testing.assert_close(ordered, usual, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("grid", [(5, 9), (12, 7), (7, 7)], ids=str)
def test_beits_table_between_its_places(grid: tuple[int, int]) -> None:
    """BEiT's own code reads it with FITPACK's splines, which scipy has under another name now."""
    side, heads = 7, 3
    rng = np.random.default_rng(0)
    table = rng.normal(size=((2 * side - 1) ** 2 + 3, heads))
    places = [_places(2 * side - 1, 2 * cells - 1) for cells in grid]
    wanted = [np.arange(-(cells - 1), cells, dtype=float) for cells in grid]
    if grid == (side, side):
        places = wanted
    read = [RectBivariateSpline(*places, table[:-3, h].reshape(13, 13), s=0)(*wanted) for h in range(heads)]
    found = table_bias(torch.from_numpy(table), side, grid, pairs(grid, True, CPU), "detectron2").numpy()
    cells = list(product(range(grid[0]), range(grid[1])))
    for h, (i, query), (j, key) in product(range(heads), enumerate(cells[::5]), enumerate(cells)):
        dy, dx = query[0] - key[0], query[1] - key[1]
        expected = read[h][dy + grid[0] - 1, dx + grid[1] - 1]
        assert abs(found[h, 1 + i * 5, 1 + j] - expected) < 1e-5
    to_patch, to_class, itself = table[-3:]
    assert np.allclose(found[:, 0, 1:], to_patch[:, None])
    assert np.allclose(found[:, 1:, 0], to_class[:, None])
    assert np.allclose(found[:, 0, 0], itself)
    without = table_bias(torch.from_numpy(table), side, grid, pairs(grid, False, CPU), "detectron2").numpy()
    assert np.array_equal(without, found[:, 1:, 1:])


def _places(old: int, new: int) -> list[float]:
    """unilm/beit: distances 1, q, q^2, ... from cell to cell, with the q that reaches the far end."""
    low, high = 1.01, 1.5
    while high - low > 1e-6:
        q = (low + high) / 2
        if sum(q**i for i in range(old // 2)) > new // 2:
            high = q
        else:
            low = q
    far = [sum(q**i for i in range(n)) for n in range(1, old // 2 + 1)]
    return [-f for f in reversed(far)] + [0.0] + far


@pytest.mark.parametrize("grid", [(4, 4), (3, 5)], ids=str)
def test_decomposed_positions(grid: tuple[int, int]) -> None:
    generator = torch.Generator().manual_seed(0)
    query = torch.randn(2, 3, grid[0] * grid[1], 8, generator=generator)
    rows, columns = (torch.randn(2 * cells - 1, 8, generator=generator) for cells in grid)
    found = decomposed_bias(query, rows, columns, grid)
    cells = list(product(range(grid[0]), range(grid[1])))
    for (i, one), (j, other) in product(enumerate(cells), enumerate(cells)):
        vector = rows[one[0] - other[0] + grid[0] - 1] + columns[one[1] - other[1] + grid[1] - 1]
        assert torch.allclose(found[:, :, i, j], query[:, :, i] @ vector, atol=1e-5)
