"""Blocks of the Hessian: divided by exactly, worth their cost, and no other optimum is reached by them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from transfer.probes import lbfgs, logistic
from transfer.probes.curvature import LARGEST, LEAST_WAIT, blocks, waiting

GRID = (1e-5, 1e-3, 1e-1, 1e1)


@pytest.fixture(scope="module")
def huge() -> tuple[Tensor, Tensor]:
    """As a random network's: norms of 20,000, nearly of one direction, spreads over decades, far images."""
    rng = torch.Generator().manual_seed(0)

    def drawn(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=rng, dtype=torch.float64)

    hidden = drawn(800, 60) * torch.exp(2 * drawn(800, 60))
    turn = torch.linalg.qr(drawn(60, 60))[0]
    features = 3000 * (1 + (hidden * torch.logspace(0, -4, 60)) @ turn)
    scores = torch.tanh(hidden[:, :20]) @ drawn(20, 5)
    return features, (scores + drawn(800, 5)).argmax(1)


def test_the_blocks_are_divided_by() -> None:
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(50, 6)) * np.logspace(0, 3, 6)
    curvature, penalty = rng.random((50, 3)), rng.random(6)
    gradient = rng.normal(size=(6, 3))
    made = blocks(*(torch.from_numpy(one) for one in (rows, curvature, penalty)))
    assert made is not None
    found = made.solve(torch.from_numpy(gradient)[:, None])[:, 0]
    for k in range(3):
        hessian = (rows * curvature[:, k, None]).T @ rows / 50 + np.diag(penalty)
        assert found[:, k].numpy() == pytest.approx(np.linalg.solve(hessian, gradient[:, k]), rel=1e-3)


def test_where_no_image_curves_there_is_a_factor_still() -> None:
    rows = torch.randn(40, 5, dtype=torch.float64)
    assert (
        blocks(rows, torch.zeros(40, 2, dtype=torch.float64), torch.zeros(5, dtype=torch.float64)) is not None
    )
    assert blocks(rows, torch.full((40, 2), torch.nan, dtype=torch.float64), torch.zeros(5)) is None


def test_they_wait_for_as_long_as_they_cost() -> None:
    assert (waiting(128, 10), waiting(1024, 100)) == (LEAST_WAIT, 204)
    assert waiting(2049, 1000) == 0
    assert LARGEST < 8 * 1000 * 2049**2


def test_huge_features_are_fitted_in_few_iterations(
    huge: tuple[Tensor, Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The optimum is the same: in fewer iterations within sums of 0, and in fewer yet by blocks."""
    monkeypatch.setattr(lbfgs, "waiting", lambda columns, scores: 0)
    within = logistic.fit(*huge, GRID)
    monkeypatch.setattr(lbfgs, "waiting", lambda columns, scores: 15)
    by_blocks = logistic.fit(*huge, GRID)
    assert all(within.converged)
    assert all(by_blocks.converged)
    assert int(within.iterations.max()) > 1.5 * int(by_blocks.iterations.max())
    loss = logistic.cross_entropy
    monkeypatch.setattr(lbfgs, "waiting", lambda columns, scores: 0)
    monkeypatch.setattr(logistic, "cross_entropy", lambda labels: replace(loss(labels), shared=False))
    anywhere = logistic.fit(*huge, GRID[:1])
    assert int(anywhere.iterations[0]) > 3 * int(within.iterations[0])
    torch.testing.assert_close(by_blocks.objective, within.objective, atol=1e-6, rtol=0)
    torch.testing.assert_close(anywhere.objective, within.objective[:1], atol=1e-6, rtol=0)


def test_weights_of_a_column_add_up_to_nothing(huge: tuple[Tensor, Tensor]) -> None:
    found = logistic.fit(*huge, GRID)
    assert float(found.weight.sum(1).abs().max()) < 1e-9 * float(found.weight.abs().max())
