"""Fits ridge regression in closed form for many penalties, with exact leave-one-out predictions.

|Y - X W - b|^2 + lambda |W|^2 is minimised, the bias free. One singular value decomposition serves all
penalties; the prediction for a row by all others follows from its residual and its leverage.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from transfer.probes.accuracy import Metric, accuracy
from transfer.probes.checks import (
    ProbeError,
    checked_features,
    checked_grid,
    checked_labels,
    require_every_class,
)


@dataclass(frozen=True)
class Ridge:
    """The models of L penalties, for K outputs and features of width D; float64."""

    penalties: tuple[float, ...]
    weight: Tensor  # (L, K, D)
    bias: Tensor  # (L, K)
    left_out: Tensor  # (L, N, K) the prediction for each row by a fit to all others

    def scores(self, features: Any) -> Tensor:
        """Gives the predictions (L, M, K) for features (M, D)."""
        rows = checked_features(features, width=self.weight.shape[2]).to(self.weight)
        return rows @ self.weight.transpose(1, 2) + self.bias[:, None]


@dataclass(frozen=True)
class ChosenRidge:
    """The classifier of the penalty that is best in leave-one-out."""

    model: Ridge  # of one penalty
    at_edge: bool
    left_out: Tensor  # (L,) accuracy in percent


def fit(features: Any, targets: Any, penalties: Sequence[float]) -> Ridge:
    """Fits features (N, D) to targets (N, K) for each penalty."""
    rows = checked_features(features).double()
    wanted = checked_features(targets, "targets").to(rows)
    if len(rows) != len(wanted) or len(rows) < 2:
        raise ProbeError(f"{len(rows)} images, {len(wanted)} targets: expected equal numbers, 2 or more")
    penalties = checked_grid(penalties, "penalties")
    mean, middle = rows.mean(0), wanted.mean(0)
    left, values, right = torch.linalg.svd(rows - mean, full_matrices=False)  # (N, p), (p,), (p, D)
    known = left.T @ (wanted - middle)
    power = values.square()
    added = power + rows.new_tensor(penalties)[:, None]  # (L, p)
    weight = (right.T @ ((values / added)[:, :, None] * known)).transpose(1, 2)
    fitted = left @ ((power / added)[:, :, None] * known)
    leverage = left.square() @ (power / added).T + 1 / len(rows)  # (N, L); the bias has its share
    missed = (wanted - middle - fitted) / (1 - leverage.T[:, :, None])
    return Ridge(penalties, weight, middle - weight @ mean, wanted - missed)


def choose(
    features: Any,
    labels: Any,
    penalties: Sequence[float],
    classes: int | None = None,
    metric: Metric = "top1",
) -> ChosenRidge:
    """Classifies by ridge regression to 1 for a row's class and -1 for others; the best penalty is taken.

    Of equal ones the largest is taken.
    """
    rows = checked_features(features)
    labels, classes = checked_labels(labels, len(rows), classes)
    require_every_class(labels, classes, "labels that are fitted", least=2)  # one is left out
    labels = labels.to(rows.device)
    targets = 2.0 * torch.nn.functional.one_hot(labels, classes).double() - 1
    grid = fit(rows, targets, penalties)
    scores = accuracy(grid.left_out.argmax(2), labels, classes, metric)
    best = int((scores == scores.max()).nonzero()[-1])
    one = slice(best, best + 1)
    model = Ridge(grid.penalties[one], grid.weight[one], grid.bias[one], grid.left_out[one])
    return ChosenRidge(model, best in (0, len(grid.penalties) - 1), scores)
