"""Ridge regression equals the normal equations, and its leave-one-out is leaving one out."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.transfer.probes.dial import dial
from transfer.probes import ridge

PENALTIES = (0.1, 1.0, 30.0, 1e3)


def slow(x: np.ndarray, y: np.ndarray, penalty: float) -> tuple[np.ndarray, np.ndarray]:
    """Weights and bias by the normal equations with the bias as a column that is not penalised."""
    rows = np.column_stack([x, np.ones(len(x))])
    added = penalty * np.eye(x.shape[1] + 1)
    added[-1, -1] = 0
    solution = np.linalg.solve(rows.T @ rows + added, rows.T @ y)
    return solution[:-1], solution[-1]


@pytest.mark.parametrize(("each", "width"), [(6, 7), (2, 20)], ids=["more images", "more numbers"])
def test_leave_one_out_equals_brute_force(each: int, width: int) -> None:
    """To 1e-12: each row is predicted by a fit to all others."""
    data = dial(0.8, classes=3, width=width, each=each)
    x, y = 2 + data.train.numpy(), np.random.default_rng(0).standard_normal((len(data.train), 2))
    solved = ridge.Solved(x, y)
    for penalty in PENALTIES:
        weight, bias = slow(x, y, penalty)
        found, left_out = solved.model(penalty), solved.left_out(penalty)
        np.testing.assert_allclose(found.weight.T, weight, rtol=0, atol=1e-12)
        np.testing.assert_allclose(found.scores(x), x @ weight + bias, rtol=0, atol=1e-12)
        for row in range(len(x)):
            weight, bias = slow(np.delete(x, row, 0), np.delete(y, row, 0), penalty)
            np.testing.assert_allclose(left_out[row], x[row] @ weight + bias, rtol=0, atol=1e-12)


def test_the_penalty_is_chosen_by_leave_one_out() -> None:
    data = dial(0.4)
    found = ridge.choose(data.train, data.labels, PENALTIES)
    signs = 2.0 * torch.nn.functional.one_hot(data.labels, 5).double() - 1
    solved = ridge.Solved(data.train, signs)
    right = [100 * float((solved.left_out(p).argmax(1) == data.labels).double().mean()) for p in PENALTIES]
    assert found.left_out.tolist() == pytest.approx(right)
    best = max(range(4), key=lambda i: (right[i], i))
    assert found.model.penalty == PENALTIES[best]
    assert found.at_edge == (best in (0, 3))
    torch.testing.assert_close(found.model.weight, solved.model(PENALTIES[best]).weight)
