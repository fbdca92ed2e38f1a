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
    """The model of one penalty, for K outputs and features of width D; float64."""

    penalty: float
    weight: Tensor  # (K, D)
    bias: Tensor  # (K,)

    def scores(self, features: Any) -> Tensor:
        """Gives the predictions (M, K) for features (M, D)."""
        rows = checked_features(features, width=self.weight.shape[1]).to(self.weight)
        return rows @ self.weight.T + self.bias


@dataclass(frozen=True)
class ChosenRidge:
    """The classifier of the penalty that is best in leave-one-out."""

    model: Ridge
    at_edge: bool
    left_out: Tensor  # (L,) accuracy in percent


class Solved:
    """Holds what all penalties share of features (N, D) and targets (N, K): a decomposition of the rows."""

    def __init__(self, features: Any, targets: Any) -> None:
        rows = checked_features(features).double()
        self.wanted = checked_features(targets, "targets").to(rows)
        if len(rows) != len(self.wanted) or len(rows) < 2:
            raise ProbeError(
                f"{len(rows)} images, {len(self.wanted)} targets: expected equal numbers, 2 or more"
            )
        self.mean, self.middle = rows.mean(0), self.wanted.mean(0)
        self.left, self.values, self.right = torch.linalg.svd(rows - self.mean, full_matrices=False)
        self.known = self.left.T @ (self.wanted - self.middle)  # (p, K); left (N, p), right (p, D)

    def model(self, penalty: float) -> Ridge:
        """The fit to all rows."""
        shrunk = self.values / (self.values.square() + penalty)
        weight = (self.right.T @ (shrunk[:, None] * self.known)).T
        return Ridge(penalty, weight, self.middle - weight @ self.mean)

    def left_out(self, penalty: float) -> Tensor:
        """(N, K) the prediction for each row by a fit to all others."""
        power = self.values.square()
        kept = power / (power + penalty)
        fitted = self.left @ (kept[:, None] * self.known)
        leverage = self.left.square() @ kept + 1 / len(self.left)  # the bias has its share
        return self.wanted - (self.wanted - self.middle - fitted) / (1 - leverage[:, None])


def choose(
    features: Any,
    labels: Any,
    penalties: Sequence[float],
    classes: int | None = None,
    metric: Metric = "top1",
) -> ChosenRidge:
    """Classifies by ridge regression to 1 for a row's class and -1 for others; the best penalty is taken.

    Of equal ones the largest is taken. Of all penalties the predictions of one at a time are held.
    """
    rows = checked_features(features)
    labels, classes = checked_labels(labels, len(rows), classes)
    require_every_class(labels, classes, "labels that are fitted", least=2)  # one is left out
    labels = labels.to(rows.device)
    solved = Solved(rows, 2.0 * torch.nn.functional.one_hot(labels, classes).double() - 1)
    penalties = checked_grid(penalties, "penalties")
    found = [accuracy(solved.left_out(one).argmax(1), labels, classes, metric) for one in penalties]
    scores = torch.stack(found)
    best = int((scores == scores.max()).nonzero()[-1])
    return ChosenRidge(solved.model(penalties[best]), best in (0, len(penalties) - 1), scores)
