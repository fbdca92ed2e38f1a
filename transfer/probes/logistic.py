"""Fits multinomial logistic regression on a grid of C, and chooses C on images held out of the training set.

The objective is scikit-learn's, divided by C and N: mean cross entropy + |W|^2 / (2 C N), the intercept free.
It has one optimum, so any solver agrees that goes on to the end; stopping early is what moves published
accuracies (half a point at large C with scikit-learn's defaults). Of two classes scikit-learn fits one
weight w = W1 - W0 and penalises w^2 / 2, which is twice the penalty of W here.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from transfer.probes.accuracy import Metric, accuracy
from transfer.probes.basis import table_of
from transfer.probes.checks import (
    Advance,
    ProbeError,
    checked_features,
    checked_grid,
    checked_labels,
    checked_split,
    require_every_class,
    unseen,
)
from transfer.probes.lbfgs import MEMORY, Loss, gradient_wanted, minimise
from transfer.probes.protocols import C_GRID

ITERATIONS = 2000
GIVE_UP = 3  # values of C in a row that are not solved: larger ones are harder, and are not tried
WORK_BYTES = 4 << 30  # of the tensors of an iteration, where several C are fitted at once


@dataclass(frozen=True)
class Logistic:
    """The models of a grid of G values of C, for K classes and features of width D; float64."""

    grid: tuple[float, ...]  # the values that were tried
    weight: Tensor  # (G, K, D)
    bias: Tensor  # (G, K), which sums to 0
    objective: Tensor  # (G,) mean cross entropy + penalty
    gradient: Tensor  # (G,) 2-norm of its gradient by the weights and the bias of centred features
    iterations: Tensor  # (G,)
    converged: tuple[bool, ...]  # the gradient is at most `tolerance(C, N)`

    def scores(self, features: Any) -> Tensor:
        """Gives the logits (G, M, K) of features (M, D)."""
        rows = checked_features(features, width=self.weight.shape[2]).to(self.weight)
        return rows @ self.weight.transpose(1, 2) + self.bias[:, None]


@dataclass(frozen=True)
class Chosen:
    """The model of the C that was best on held-out images, fitted to all training images."""

    model: Logistic  # of one C
    C: float
    at_edge: bool  # the best C is the first or the last that was tried, so a wider grid may be better
    tried: tuple[float, ...]  # the G values of the grid before `fit` gave up
    held_out: Tensor  # (G,) percent, of the models that were fitted without the held-out images
    converged: tuple[bool, ...]  # of these
    # (M, K) of the held-out images, by the model of C that never saw them: by heart it would be too cold
    blind: Tensor


def tolerance(C: float, images: int, classes: int) -> float:
    """The gradient's 2-norm at which a fit is finished: 1e-6, or less at large C (`gradient_wanted`)."""
    return gradient_wanted(_penalty(C, images, classes))


def fit(
    features: Any,
    labels: Any,
    grid: Sequence[float] = C_GRID,
    classes: int | None = None,
    at_once: int | None = None,
    iterations: int = ITERATIONS,
    advance: Advance = unseen,
) -> Logistic:
    """Fits features (N, D) and class numbers (N,), of which every class has one, for each C of the grid.

    After GIVE_UP values in a row that `iterations` do not solve, the larger ones are left out: features of
    huge norms, as random networks have them, would take long for models that nothing chooses.
    `at_once` values of C are fitted together: by default 1 on a CPU, where a start from the values before
    saves more, and on a GPU as many as fit into WORK_BYTES. The results differ by less than the tolerance.
    Held are the table, 8 N D bytes, and of each C about 48 N K: of ImageNet (2048 numbers, 1000 classes) 21
    and 61 GB.
    """
    rows = checked_features(features)
    labels, classes = checked_labels(labels, len(rows), classes)
    labels = labels.to(rows.device)
    require_every_class(labels, classes, "labels that are fitted")
    grid = checked_grid(grid, "grid of C")
    table, basis, mean = table_of(rows)
    weights, objective, gradient, counts = _path(
        table, labels, classes, grid, at_once or _fitting(table, classes), iterations, advance
    )
    grid = grid[: weights.shape[1]]
    weight = (basis @ weights[:-1].flatten(1)).view(-1, len(grid), classes).permute(1, 2, 0)
    bias = weights[-1] - weight @ mean
    return Logistic(
        grid=grid,
        weight=weight,
        bias=bias - bias.mean(1, keepdim=True),
        objective=objective,
        gradient=gradient,
        iterations=counts.long(),
        converged=tuple((gradient <= _limits(gradient, grid, len(rows), classes)).tolist()),
    )


def choose(
    features: Any,
    labels: Any,
    fitted: Any,
    held_out: Any,
    grid: Sequence[float] = C_GRID,
    classes: int | None = None,
    metric: Metric = "top1",
    advance: Advance = unseen,
) -> Chosen:
    """Fits the rows `fitted` of the training set, takes the best C on its rows `held_out`, and fits both.

    `advance` is told of every C, and of the last fit. Of equal values the smallest C is taken. No test image
    comes in here, so none can be chosen on. Raises ProbeError where the final fit does not reach its
    tolerance, and where the parts overlap.
    """
    rows = checked_features(features)
    labels, classes = checked_labels(labels, len(rows), classes)
    fitted, held_out = (
        part.to(rows.device)
        for part in checked_split((fitted, held_out), len(rows), ("images to fit", "held-out images"))
    )
    labels = labels.to(rows.device)
    trial = fit(rows[fitted], labels[fitted], grid, classes, advance=advance)
    asked = rows[held_out].to(trial.weight)
    models = zip(trial.weight, trial.bias, strict=True)  # one by one: the scores of all may be gigabytes
    predicted = torch.stack([(asked @ weight.T + bias).argmax(1) for weight, bias in models])
    scores = accuracy(predicted, labels[held_out], classes, metric)
    best = int((scores == scores.max()).nonzero()[0])
    both = torch.cat([fitted, held_out])
    model = fit(rows[both], labels[both], (trial.grid[best],), classes, advance=advance)
    if not model.converged[0]:
        raise ProbeError(
            f"C {trial.grid[best]:g}: the gradient is {float(model.gradient[0]):.1e} after "
            f"{int(model.iterations[0])} iterations, expected "
            f"{tolerance(trial.grid[best], len(both), classes):.1e}; scale the features, or leave out large C"
        )
    edge = best in (0, len(trial.grid) - 1)
    blind = asked @ trial.weight[best].T + trial.bias[best]
    return Chosen(model, trial.grid[best], edge, trial.grid, scores, trial.converged, blind)


def _path(
    table: Tensor,
    labels: Tensor,
    classes: int,
    grid: tuple[float, ...],
    at_once: int,
    iterations: int,
    advance: Advance,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Minimises along the grid; weights (p, G, K), and (G,) objectives, gradients and iterations.

    G is less than the grid's where it gave up.
    """
    loss, width = cross_entropy(labels), table.shape[1]
    found: list[Tensor] = []  # (p, K) of each C
    columns: list[tuple[Tensor, ...]] = []
    solved: list[bool] = []
    for first in range(0, len(grid), at_once):
        part = grid[first : first + at_once]
        penalties = table.new_tensor([_penalty(C, len(table), classes) for C in part])
        penalty = penalties.repeat(width, 1)
        penalty[-1] = 0
        limits = _limits(table, part, len(table), classes)
        start = _start(found, grid, table.new_zeros(width, classes))[:, None].repeat(1, len(part), 1)
        minimum = minimise(table, loss, penalty, start, limits, iterations)
        found += minimum.weights.unbind(1)
        columns.append((minimum.objective, minimum.gradient, minimum.iterations))
        solved += (minimum.gradient <= limits).tolist()
        for C in part:
            advance(f"C {C:.3g}")
        end, gave_up = _kept(solved)
        if gave_up:
            break
    objective, gradient, counts = (torch.cat(column)[:end] for column in zip(*columns, strict=True))
    return torch.stack(found[:end], dim=1), objective, gradient, counts


def _kept(solved: Sequence[bool]) -> tuple[int, bool]:
    """How many values are kept, and whether that is for giving up: GIVE_UP in a row were not solved."""
    for end in range(GIVE_UP, len(solved) + 1):
        if not any(solved[end - GIVE_UP : end]):
            return end, True
    return len(solved), False


def _limits(like: Tensor, grid: Sequence[float], images: int, classes: int) -> Tensor:
    return like.new_tensor([tolerance(C, images, classes) for C in grid])


def _start(found: list[Tensor], grid: tuple[float, ...], zero: Tensor) -> Tensor:
    """Goes on along log C by the polynomial through the last three optima, or as many as there are."""
    last = range(max(0, len(found) - 3), len(found))
    at, now = {i: math.log(grid[i]) for i in last}, math.log(grid[len(found)])
    start = zero
    for i in last:
        start = start + found[i] * math.prod((now - at[m]) / (at[i] - at[m]) for m in last if m != i)
    return start


def cross_entropy(labels: Tensor) -> Loss:
    """The loss of softmax(scores) against class numbers (N,); one row's second derivative is p (1 - p)."""
    index = torch.arange(len(labels), device=labels.device)

    def at(scores: Tensor, problems: Tensor) -> tuple[Tensor, Tensor]:
        top = scores.amax(2, keepdim=True)
        slope = (scores - top).exp_()
        total = slope.sum(2, keepdim=True)
        value = (total.log() + top)[:, :, 0] - scores[index, :, labels]
        slope /= total
        slope[index, :, labels] -= 1
        return value.mean(0), slope

    return Loss(at, lambda slope: slope.abs() * (1 - slope.abs()), shared=True)


def _penalty(C: float, images: int, classes: int) -> float:
    return (2 if classes == 2 else 1) / (C * images)


def _fitting(table: Tensor, classes: int) -> int:
    if table.device.type == "cpu":
        return 1
    each = 8 * classes * (6 * len(table) + (2 * MEMORY + 8) * table.shape[1])
    return max(1, WORK_BYTES // each)
