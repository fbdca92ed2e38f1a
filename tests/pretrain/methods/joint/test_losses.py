"""Losses that take the smaller of two squares agree with their formulas, whichever of the two that is."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from pretrain.methods.joint.losses import covariance, squares
from pretrain.methods.rows.barlow import redundancy

SHAPES = [(5, 12), (8, 12), (12, 5), (7, 7)]  # fewer images than half of the columns, than all, more, as many


def rows(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def apart(c: np.ndarray, weight: float) -> float:
    """Barlow Twins' sum, entry by entry."""
    return sum(
        (c[i, j] - 1) ** 2 if i == j else weight * c[i, j] ** 2 for i in range(len(c)) for j in range(len(c))
    )


@pytest.mark.parametrize("shape", SHAPES)
def test_the_distance_to_the_identity_by_loops(shape: tuple[int, int]) -> None:
    one, other = rows(*shape), rows(*shape, seed=1)
    c = one.numpy().T @ other.numpy() / len(one)
    assert float(squares(one, other)) == pytest.approx(float((c**2).sum()) * len(one) ** 2, rel=1e-12)
    assert float(redundancy(one, other, 0.3)) == pytest.approx(apart(c, 0.3), rel=1e-12)


@pytest.mark.parametrize("shape", SHAPES)
def test_covariances_by_numpy(shape: tuple[int, int]) -> None:
    x = rows(*shape)
    matrix = np.cov(x.numpy().T)
    off = (matrix**2).sum() - (np.diag(matrix) ** 2).sum()
    assert float(covariance(x - x.mean(0))) == pytest.approx(off / shape[1], rel=1e-12)


@pytest.mark.parametrize("shape", SHAPES)
def test_gradients_are_those_of_the_large_square(shape: tuple[int, int]) -> None:
    one, other = rows(*shape).requires_grad_(), rows(*shape, seed=1)
    c = one.T @ other / len(one)
    off = c - torch.diag(c.diagonal())
    expected = (c.diagonal() - 1).square().sum() + 0.3 * off.square().sum()
    (wanted,) = torch.autograd.grad(expected, one)
    (found,) = torch.autograd.grad(redundancy(one, other, 0.3), one)
    torch.testing.assert_close(found, wanted, rtol=1e-10, atol=1e-12)
