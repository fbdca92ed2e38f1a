"""Fits the linear SVMs of the VOC07 benchmark as VISSL does: one a class, squared hinge, cost by 3 folds.

The objective is liblinear's: (|w|^2 + b^2) / 2 + C sum of c_i max(0, 1 - y_i (w x_i + b))^2, where c_i is 2
for positive images and 1 for others; the bias is penalised. Targets are VOC's: 1 present, 0 absent, -1
difficult. Difficult images train as negatives and are left out of the score. Rows are divided by their norm.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from transfer.probes.average_precision import area_ap, step_ap
from transfer.probes.basis import uncorrelated
from transfer.probes.checks import Advance, ProbeError, checked_features, checked_grid, unseen
from transfer.probes.folds import stratified
from transfer.probes.lbfgs import Loss, gradient_wanted, minimise
from transfer.probes.protocols import SVM_COSTS, SVM_FOLDS, SVM_POSITIVE_WEIGHT

ITERATIONS = 2000


@dataclass(frozen=True)
class Svm:
    """B linear classifiers; float64."""

    weight: Tensor  # (B, D)
    bias: Tensor  # (B,)
    cost: tuple[float, ...]  # of each
    objective: Tensor  # (B,) liblinear's, divided by C N
    gradient: Tensor  # (B,) its 2-norm
    converged: tuple[bool, ...]

    def scores(self, features: Any) -> Tensor:
        """Gives the decision values (M, B) of raw features (M, D)."""
        rows = normalised(checked_features(features, width=self.weight.shape[1])).to(self.weight)
        return rows @ self.weight.T + self.bias


@dataclass(frozen=True)
class ChosenSvm:
    """One classifier a class, each with the cost that was best in cross-validation on the training set."""

    model: Svm
    cross_validation: Tensor  # (classes, costs) mean step AP in percent
    at_edge: tuple[bool, ...]  # whether the class's cost is the first or the last of the grid


def normalised(features: Tensor) -> Tensor:
    """Divides rows (N, D) by their norm + 1e-5, in float64."""
    rows = features.double()
    return rows / (rows.norm(dim=1, keepdim=True) + 1e-5)


def fit(features: Any, signs: Tensor, costs: Sequence[float], advance: Advance = unseen) -> list[Svm]:
    """Fits raw features (N, D) to `signs` (N, B) for each cost: 1 positive, -1 negative, 0 left out.

    `advance` is told of each.
    """
    rows = normalised(checked_features(features))
    for problem, sides in enumerate(signs.T):
        if not ((sides > 0).any() and (sides < 0).any()):
            raise ProbeError(f"class {problem}: expected positive and negative images; choose another split")
    table, basis = uncorrelated(torch.cat([rows, rows.new_ones(len(rows), 1)], dim=1))
    signs = signs.to(rows)
    loss = squared_hinge(signs, torch.where(signs > 0, SVM_POSITIVE_WEIGHT, 1.0) * signs.abs())
    start, found = rows.new_zeros(table.shape[1], signs.shape[1], 1), []
    for cost in costs:
        convexity = 1 / (cost * len(rows))
        wanted = rows.new_full((signs.shape[1],), gradient_wanted(convexity))
        penalty = rows.new_full((table.shape[1], signs.shape[1]), convexity)
        minimum = minimise(table, loss, penalty, start, wanted, ITERATIONS)
        start = minimum.weights
        weight = (basis @ start[:, :, 0]).T
        converged = tuple((minimum.gradient <= wanted).tolist())
        advance(f"cost {cost:g}")
        each = (float(cost),) * len(weight)
        found.append(Svm(weight[:, :-1], weight[:, -1], each, minimum.objective, minimum.gradient, converged))
    return found


def choose(
    features: Any,
    targets: Any,
    costs: Sequence[float] = SVM_COSTS,
    folds: int = SVM_FOLDS,
    advance: Advance = unseen,
) -> ChosenSvm:
    """Cross-validates features (N, D) with targets (N, classes) and fits all rows at each class's best cost.

    Of equal costs the smallest is taken. Raises ProbeError where a class has fewer positive or negative
    images than folds, and where a chosen fit does not reach its tolerance.
    """
    costs = checked_grid(costs, "costs")
    targets = checked_targets(targets, len(checked_features(features)))
    signs = _signs(targets)
    classes = signs.shape[1]
    for sign, word in ((1, "positive"), (-1, "other")):
        counts = (signs == sign).sum(0)
        short = int(counts.argmin())
        if counts[short] < folds:
            raise ProbeError(
                f"class {short}: {int(counts[short])} {word} images, expected {folds} for {folds} folds"
            )
    fold = torch.stack([stratified(column, folds) for column in signs.T], dim=1)
    trained = [torch.where(fold == number, 0, signs) for number in range(folds)]
    models = fit(features, torch.cat([*trained, signs], dim=1), costs, advance)
    table = torch.empty(classes, len(costs), dtype=torch.float64)
    for column, model in enumerate(models):
        scores = model.scores(features).cpu().numpy()
        for number in range(classes):
            values = [
                step_ap(scores[out, i * classes + number], signs[out, number].numpy() > 0)
                for i in range(folds)
                for out in [(fold[:, number] == i).numpy()]
            ]
            table[number, column] = 100 * float(np.mean(values))
    best = table.argmax(1).tolist()
    final = _of_each(models, best, folds * classes)
    if not all(final.converged):
        bad = final.converged.index(False)
        raise ProbeError(f"class {bad}: cost {final.cost[bad]:g} did not converge; leave out large costs")
    return ChosenSvm(final, table, tuple(index in (0, len(costs) - 1) for index in best))


def _of_each(models: list[Svm], best: list[int], first: int) -> Svm:
    """Takes classifier `first` + i of model `best[i]`."""
    picked = [(models[index], first + number) for number, index in enumerate(best)]
    return Svm(
        torch.stack([model.weight[at] for model, at in picked]),
        torch.stack([model.bias[at] for model, at in picked]),
        tuple(model.cost[at] for model, at in picked),
        torch.stack([model.objective[at] for model, at in picked]),
        torch.stack([model.gradient[at] for model, at in picked]),
        tuple(model.converged[at] for model, at in picked),
    )


def few(targets: Any, shots: int, seed: int) -> Tensor:
    """Draws a low-shot training set: signs (N, classes) for `fit`, of which most are 0.

    A class gets `shots` positive images and (classes - 1) * shots absent ones; difficult ones never. VISSL
    takes the cost that is best on the test images, which this file does not offer: state the cost.
    """
    targets = checked_targets(targets, len(targets))
    signs, draw = torch.zeros_like(targets), np.random.default_rng([seed, shots])
    others = (targets.shape[1] - 1) * shots
    for number, column in enumerate(targets.T):
        for value, sign, count in ((1, 1, shots), (0, -1, others)):
            there = (column == value).nonzero()[:, 0].numpy()
            if len(there) < count:
                word = "positive" if value else "absent"
                raise ProbeError(f"class {number}: {len(there)} {word} images, {shots} shots need {count}")
            signs[draw.choice(there, count, replace=False), number] = sign
    return signs


def average_precisions(
    scores: Tensor, targets: Any, rule: Callable[[np.ndarray, np.ndarray], float] = area_ap
) -> Tensor:
    """Gives the AP in percent of each class, scores (M, classes) and targets (M, classes) -> (classes,)."""
    truth = checked_targets(targets, len(scores)).numpy()
    values = scores.cpu().numpy()
    return torch.tensor(
        [100 * rule(values[t >= 0, i], t[t >= 0] > 0) for i, t in enumerate(truth.T)], dtype=torch.float64
    )


def squared_hinge(signs: Tensor, weights: Tensor) -> Loss:
    """The loss of scores (N, B, 1) against `signs` (N, B), each row with its weight (N, B) in a problem."""

    def at(scores: Tensor, problems: Tensor) -> tuple[Tensor, Tensor]:
        sign = signs[:, problems]
        short = weights[:, problems] * (1 - sign * scores[:, :, 0]).clamp(min=0)
        value = short * (1 - sign * scores[:, :, 0])
        return value.mean(0), (-2 * sign * short)[:, :, None]

    return Loss(at, lambda slope: 2.0 * (slope != 0))  # without the weights of the classes, 1 or 2


def checked_targets(targets: Any, count: int) -> Tensor:
    """Gives (N, classes) whole numbers on the CPU: 1 present, 0 absent, -1 difficult."""
    found = torch.as_tensor(targets).cpu()
    if found.ndim != 2 or len(found) != count or not set(found.unique().tolist()) <= {-1, 0, 1}:
        raise ProbeError(
            f"targets: shape {tuple(found.shape)}, expected ({count}, classes) of 1, 0 and -1 (difficult)"
        )
    return found.long()


def _signs(targets: Tensor) -> Tensor:
    return torch.where(targets == 1, 1, -1)
