"""Logistic regression reaches scikit-learn's optimum for every C, and chooses C without a test image."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pytest
import torch
from scipy.optimize import minimize

from tests.transfer.probes.dial import dial
from transfer.probes import logistic
from transfer.probes.accuracy import accuracy
from transfer.probes.checks import ProbeError
from transfer.probes.lbfgs import EXCESS
from transfer.probes.protocols import C_GRID

GRID = (1e-4, 1e-2, 1.0, 1e2, 1e4)


def slow_objective(weight: np.ndarray, bias: np.ndarray, x: np.ndarray, y: np.ndarray, C: float) -> float:
    """scikit-learn's objective divided by C N, image by image."""
    total = 0.0
    for row, label in zip(x, y, strict=True):
        scores = weight @ row + bias
        total += np.log(np.exp(scores - scores.max()).sum()) + scores.max() - scores[label]
    return total / len(x) + (weight**2).sum() / (2 * C * len(x))


def by_newton(x: np.ndarray, y: np.ndarray, C: float) -> float:
    """The least objective, by Newton's method with the whole Hessian over all weights and biases."""
    rows, k = np.column_stack([x, np.ones(len(x))]), y.max() + 1
    truth, w = np.eye(k)[y], np.zeros((k, x.shape[1] + 1))
    ridge = np.append(np.ones(x.shape[1]), 0) / (C * len(x))

    def objective(w: np.ndarray) -> float:
        return slow_objective(w[:, :-1], w[:, -1], x, y, C)

    for _ in range(100):
        scores = rows @ w.T
        p = np.exp(scores - scores.max(1, keepdims=True))
        p /= p.sum(1, keepdims=True)
        gradient = ((p - truth).T @ rows / len(x) + w * ridge).ravel()
        if np.linalg.norm(gradient) < 1e-10:
            break
        bend = p[:, :, None] * (np.eye(k) - p[:, None, :])
        hessian = np.einsum("nab,ni,nj->aibj", bend, rows, rows, optimize=True) / len(x)
        hessian = hessian.reshape(w.size, w.size) + np.diag(np.tile(ridge, k))
        step = np.linalg.lstsq(hessian, gradient, rcond=1e-13)[0].reshape(w.shape)
        length = 1.0
        while objective(w - length * step) > objective(w) and length > 1e-6:
            length /= 2
        w = w - length * step
    return objective(w)


@pytest.mark.parametrize(("each", "width"), [(15, 8), (5, 24)], ids=["more images", "more numbers"])
def test_the_optimum_of_every_C(each: int, width: int) -> None:
    """One C after the other and all at once; more images than numbers and fewer."""
    data = dial(0.7, classes=4, width=width, each=each)
    x, y = 3 + data.train * torch.logspace(0, -2, width), data.labels  # not centred, not alike
    least = [by_newton(x.numpy(), y.numpy(), C) for C in GRID]
    for at_once in (None, 3):
        found = logistic.fit(x, y, GRID, at_once=at_once)
        assert all(found.converged)
        for i, C in enumerate(GRID):
            assert found.gradient[i] <= logistic.tolerance(C, len(x), 4)
            objective = slow_objective(
                found.weight[i].numpy(), found.bias[i].numpy(), x.numpy(), y.numpy(), C
            )
            assert float(found.objective[i]) == pytest.approx(objective, abs=1e-12)
            assert least[i] - 1e-9 <= objective <= least[i] + EXCESS
    scores = found.scores(x[:3])
    assert scores.shape == (len(GRID), 3, 4)
    torch.testing.assert_close(scores[2], x[:3] @ found.weight[2].T + found.bias[2])


@pytest.mark.parametrize("classes", [2, 5])
def test_equal_to_scikit_learn(classes: int) -> None:
    """Of two classes it has one weight vector, so half of our penalty."""
    reason = "scikit-learn is not installed; the oracle above runs without it"
    linear_model = pytest.importorskip("sklearn.linear_model", reason=reason)
    data = dial(0.5, classes=classes, width=8)
    x, y = data.train.numpy(), data.labels.numpy()
    found = logistic.fit(x, y, GRID)
    for i, C in enumerate(GRID):
        theirs = linear_model.LogisticRegression(C=C, tol=1e-9, max_iter=2000).fit(x, y)
        scores = theirs.decision_function(data.test.numpy())
        ours = found.scores(data.test)[i].numpy()
        if classes == 2:
            w = np.concatenate([-theirs.coef_, theirs.coef_]) / 2
            b = np.append(-theirs.intercept_, theirs.intercept_) / 2
            ours = ours[:, 1] - ours[:, 0]
        else:
            w, b = theirs.coef_, theirs.intercept_ - theirs.intercept_.mean()
            scores, ours = scores - scores.mean(1, keepdims=True), ours - ours.mean(1, keepdims=True)
        half = C / 2 if classes == 2 else C  # the penalty of our two vectors is twice as strong
        assert float(found.objective[i]) == pytest.approx(slow_objective(w, b, x, y, half), abs=1e-6)
        assert np.abs(scores - ours).max() < 1e-2 * (1 + np.abs(scores).max())


def test_two_classes_have_one_weight_vector() -> None:
    """Equal to the minimum over w of mean log(1 + exp(-s w x)) + w^2 / (2 C N), by scipy."""
    data = dial(0.5, classes=2, width=6)
    x, sign = data.train.numpy(), 2 * data.labels.numpy() - 1

    def function(v: np.ndarray) -> float:
        return np.logaddexp(0, -sign * (x @ v[:-1] + v[-1])).mean() + (v[:-1] ** 2).sum() / (2 * 0.3 * len(x))

    best = minimize(function, np.zeros(7), method="BFGS", options={"gtol": 1e-8})
    found = logistic.fit(data.train, data.labels, (0.3,))
    assert float(found.objective[0]) == pytest.approx(best.fun, abs=1e-9)
    np.testing.assert_allclose(found.weight[0, 1] - found.weight[0, 0], best.x[:-1], atol=1e-4)


def test_a_fit_that_is_broken_off_says_so() -> None:
    data = dial(0.5)
    found = logistic.fit(data.train, data.labels, (1e-6, 1.0), iterations=3)
    assert found.converged == (True, False)
    assert found.iterations.tolist()[1] == 3
    assert found.gradient[1] > logistic.tolerance(1.0, len(data.train), 5)


def test_values_behind_three_that_are_not_solved_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """One after the other and all at once end by the same rule."""
    data = dial(0.4)
    features, grid = data.train, C_GRID[16:34]
    monkeypatch.setattr(logistic, "GIVE_UP", len(grid) + 1)
    whole = logistic.fit(features, data.labels, grid, iterations=20)
    monkeypatch.undo()
    cut = logistic.fit(features, data.labels, grid, iterations=20)
    last = len(cut.grid)
    assert 3 < last < len(grid)
    assert cut.grid == grid[:last]
    assert (whole.converged[:last], whole.converged[last - 4 : last]) == (
        cut.converged,
        (True, False, False, False),
    )
    torch.testing.assert_close(whole.weight[:last], cut.weight)
    assert len(cut.scores(features)) == len(cut.objective) == len(cut.iterations) == last
    at_once = logistic.fit(features, data.labels, grid, at_once=len(grid), iterations=20)
    assert len(at_once.grid) == len(at_once.bias) == len(at_once.converged)
    assert not any(at_once.converged[-3:])


def test_the_choice_is_among_the_values_that_were_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    data, fit = dial(0.4), logistic.fit
    rows = torch.arange(len(data.train))

    def hurried(features: Any, labels: Any, grid: Any, classes: int, **_: Any) -> logistic.Logistic:
        return fit(features, labels, grid, classes, iterations=20 if len(grid) > 1 else 2000)

    monkeypatch.setattr(logistic, "fit", hurried)
    found = logistic.choose(data.train, data.labels, rows[rows % 4 != 0], rows[rows % 4 == 0], C_GRID)
    assert found.tried == C_GRID[: len(found.tried)]
    assert found.C in found.tried
    assert found.converged[-4:] == (True, False, False, False)
    assert len(found.held_out) == len(found.converged) == len(found.tried) < len(C_GRID)


def test_the_grid_is_the_published_one() -> None:
    np.testing.assert_allclose(C_GRID, 10 ** np.linspace(-6, 5, 45), rtol=1e-12)


def test_the_choice_is_made_on_held_out_images() -> None:
    """By hand: fit the part, score the rest, first best C; then all rows at that C."""
    data = dial(0.4)
    rows = torch.arange(len(data.train))
    kept, out = rows[rows % 4 != 0], rows[rows % 4 == 0]
    found = logistic.choose(data.train, data.labels, kept, out, GRID)
    part = logistic.fit(data.train[kept], data.labels[kept], GRID)
    scores = [
        100 * float((part.scores(data.train[out])[i].argmax(1) == data.labels[out]).double().mean())
        for i in range(len(GRID))
    ]
    assert found.held_out.tolist() == pytest.approx(scores)
    assert max(scores) > min(scores)
    assert GRID.index(found.C) == scores.index(max(scores))
    order = torch.cat([kept, out])
    both = logistic.fit(data.train[order], data.labels[order], (found.C,))
    torch.testing.assert_close(found.model.weight, both.weight)
    assert not found.at_edge
    easy = dial(3.0)
    equal = logistic.choose(easy.train, easy.labels, kept, out, (0.01, 0.1, 1.0))
    assert equal.held_out.tolist() == [100, 100, 100]
    assert (equal.C, equal.at_edge) == (0.01, True)
    assert logistic.choose(data.train, data.labels, kept, out, (found.C, 10 * found.C)).at_edge


def test_every_class_counts_alike() -> None:
    """Three of four images of class 0 and the one of class 1 are right: 80 % of images, 87.5 % by class."""
    labels, predicted = torch.tensor([0, 0, 0, 0, 1]), torch.tensor([[0, 0, 0, 1, 1], [1, 1, 1, 1, 1]])
    assert accuracy(predicted, labels, 2).tolist() == pytest.approx([80, 20])
    assert accuracy(predicted, labels, 2, "mean_per_class").tolist() == pytest.approx([87.5, 50])


def test_no_test_image_can_be_chosen_on() -> None:
    """The choice takes rows of the training set, so a test set has no way in; and none twice."""
    given = set(inspect.signature(logistic.choose).parameters)
    assert given == {"features", "labels", "fitted", "held_out", "grid", "classes", "metric", "advance"}
    data = dial(0.4)
    with pytest.raises(ProbeError, match="an image is in them twice; expected disjoint parts"):
        logistic.choose(data.train, data.labels, range(100), range(90, 150), GRID)
    with pytest.raises(ProbeError, match="held-out images: a row number is outside 0 to 149"):
        logistic.choose(data.train, data.labels, range(150), range(150, 300), GRID)


def test_a_choice_that_did_not_converge_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = logistic.fit
    monkeypatch.setattr(logistic, "fit", lambda *args, **_: whole(*args, iterations=1))
    data = dial(0.4)
    with pytest.raises(ProbeError, match=r"C 1: the gradient is .* after 1 iterations, expected 1\.0e-06"):
        logistic.choose(data.train, data.labels, range(100), range(100, 150), (1.0,))


def test_every_C_and_the_last_fit_are_told() -> None:
    """A grid may take a quarter of an hour, so its line of progress moves with each value."""
    data = dial(0.6, classes=3, width=6, each=20)
    held, told = np.arange(0, 60, 3), []
    fitted = np.setdiff1d(np.arange(60), held)
    logistic.choose(data.train, data.labels, fitted, held, GRID, advance=told.append)
    assert told[:-1] == ["C 0.0001", "C 0.01", "C 1", "C 100", "C 1e+04"]
    assert told[-1] in told[:-1]
