"""LOST finds what its formula says, patch by patch, and CorLoc counts by IoU."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from transfer.probes import discovery


def slow(x: np.ndarray, grid: tuple[int, int], k: int) -> tuple[int, set[int], tuple[int, int, int, int]]:
    """Seed, connected object and its bounds (rows and columns, the end excluded) by loops and flood fill."""
    n = len(x)
    alike = [[float(x[p] @ x[q]) for q in range(n)] for p in range(n)]
    degree = [sum(alike[p][q] > 0 for q in range(n) if q != p) for p in range(n)]
    order = sorted(range(n), key=lambda p: degree[p])
    seed = order[0]
    similar = [p for p in order[:k] if alike[seed][p] > 0]
    inside = [sum(alike[p][s] for s in similar) > 0 for p in range(n)]
    part, edge = {seed}, [seed]
    while edge:
        row, column = divmod(edge.pop(), grid[1])
        for r, c in ((row - 1, column), (row + 1, column), (row, column - 1), (row, column + 1)):
            p = r * grid[1] + c
            if 0 <= r < grid[0] and 0 <= c < grid[1] and p not in part and inside[p]:
                part.add(p)
                edge.append(p)
    rows, columns = [p // grid[1] for p in part], [p % grid[1] for p in part]
    return seed, part, (min(rows), min(columns), max(rows) + 1, max(columns) + 1)


def scene(top: int, left: int, high: int, wide: int, grid: tuple[int, int], noise: float) -> Tensor:
    """Patches of a rectangle on a background that is unlike it."""
    random = np.random.default_rng(top)
    thing, ground = np.linalg.qr(random.standard_normal((16, 2)))[0].T
    x = np.tile(ground - 0.5 * thing, (*grid, 1))
    x[top : top + high, left : left + wide] = thing - 0.2 * ground
    return torch.from_numpy((x + noise * random.standard_normal(x.shape)).reshape(-1, 16))


@pytest.mark.parametrize("noise", [0.02, 0.3], ids=["clear", "noisy"])
def test_lost_by_loops(noise: float) -> None:
    grid = (7, 9)
    for top, left, k in ((1, 2, 100), (3, 4, 10), (2, 0, 3)):
        x = scene(top, left, 3, 4, grid, noise)
        seed, part, (y0, x0, y1, x1) = slow(x.numpy(), grid, k)
        alike = x @ x.T
        assert discovery.seed_of(alike) == seed
        chosen = set(discovery.expanded(alike, k).nonzero()[:, 0].tolist())
        assert part <= chosen
        box = discovery.object_box(x, grid, (112, 144), k)
        assert box == (16 * x0, 16 * y0, 16 * x1, 16 * y1)
        if noise < 0.1:
            assert (y0, x0, y1, x1) == (top, left, top + 3, left + 4)


def test_a_rotation_of_features_moves_nothing() -> None:
    x = scene(1, 2, 3, 4, (7, 9), 0.1)
    turn = torch.from_numpy(np.linalg.qr(np.random.default_rng(0).standard_normal((16, 16)))[0])
    assert discovery.object_box(x, (7, 9), (70, 90)) == discovery.object_box(x @ turn, (7, 9), (70, 90))


def test_patches_of_a_map() -> None:
    """By rows, with mean 0 and variance 1 over all numbers of the map."""
    values = torch.rand(3, 2, 4)
    found = discovery.map_features(values)
    expected = (values - values.mean()) / (values.var(unbiased=False) + 1e-5).sqrt()
    torch.testing.assert_close(found[5], expected[:, 1, 1])
    assert found.shape == (8, 3)


def test_corloc_by_hand() -> None:
    """IoU of exactly a half is a hit, of a little less a miss; an image without boxes does not count."""
    truth = [[[0, 0, 10, 10]], [[50, 50, 60, 60], [0, 0, 10, 10]], [[0, 0, 10, 10]], np.zeros((0, 4))]
    boxes = [(0, 0, 5, 10), (1, 0, 10, 10), (0, 0, 4.9, 10), (0, 0, 9, 9)]
    assert discovery.localised(boxes, truth).tolist() == [1, 1, 0]


def _corloc(signal: float) -> float:
    """CorLoc of 60 drawn scenes, whose objects are `signal` times as clear as the noise of a patch."""
    random, boxes, truth = np.random.default_rng(0), [], []
    for number in range(60):
        top, left = int(random.integers(0, 5)), int(random.integers(0, 6))
        x = signal * scene(top, left, 3, 4, (8, 10), 0.0)
        noise = np.random.default_rng(100 + number).standard_normal(x.shape)
        boxes.append(discovery.object_box(x + torch.from_numpy(noise), (8, 10), (80, 100)))
        truth.append([[10 * left, 10 * top, 10 * left + 40, 10 * top + 30]])
    return 100 * float(discovery.localised(boxes, truth).mean())


def test_clearer_patches_find_more_and_noise_finds_nothing() -> None:
    none, little, much = (_corloc(signal) for signal in (0.0, 2.0, 4.0))
    assert none < 10 < little < 80 < much
