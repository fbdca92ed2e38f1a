"""Fits the SVMs of VOC07 to few images a class, over several draws, with a cost that no test image chose.

VISSL takes, for each number of shots, the cost whose mean over the draws is best on the *test* images. Here
it is the best on those training images that a class's draw left out: more labels than the shots, but none of
the test. So numbers are a little lower than published ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from transfer.probes.average_precision import area_ap
from transfer.probes.checks import ProbeError, checked_features, checked_grid
from transfer.probes.protocols import SVM_COSTS
from transfer.probes.svm import Svm, checked_targets, few, fit


@dataclass(frozen=True)
class LowShot:
    """models: the SVMs of each draw, at one cost. left_out: (costs,) mean AP in percent that chose it."""

    models: tuple[Svm, ...]
    cost: float
    left_out: Tensor
    at_edge: bool


def choose(
    features: Any, targets: Any, shots: int, draws: int, seed: int, costs: Sequence[float] = SVM_COSTS
) -> LowShot:
    """Fits features (N, D) with targets (N, classes) to `draws` drawn sets of `shots` positives a class.

    Of equal costs the smallest is taken. ProbeError where a class has too few images, where no draw leaves a
    positive image out, and where a chosen fit does not reach its tolerance.
    """
    rows = checked_features(features)
    wanted, costs = checked_targets(targets, len(rows)), checked_grid(costs, "costs")
    found: list[list[Svm]] = []
    scores = np.full((draws, wanted.shape[1], len(costs)), np.nan)
    for draw in range(draws):
        signs = few(wanted, shots, seed + draw)
        used = signs.ne(0).any(1)
        found.append(fit(rows[used.to(rows.device)], signs[used], costs))
        for number, model in enumerate(found[-1]):
            scores[draw, :, number] = _left_out(model.scores(rows).cpu(), signs, wanted)
    if np.isnan(scores).all():
        raise ProbeError(
            f"{shots} shots: no image is left out by which a cost could be chosen; ask for fewer shots"
        )
    means = np.nanmean(scores, axis=(0, 1))
    place = int(means.argmax())
    models = tuple(of_draw[place] for of_draw in found)
    if not all(all(model.converged) for model in models):
        raise ProbeError(f"{shots} shots: cost {costs[place]:g} did not converge; leave out large costs")
    return LowShot(models, costs[place], torch.from_numpy(100 * means), place in (0, len(costs) - 1))


def _left_out(scores: Tensor, signs: Tensor, targets: Tensor) -> list[float]:
    """The AP of each class on the images that its draw left out, NaN where no positive one is left."""
    found = []
    for number in range(targets.shape[1]):
        rest = (signs[:, number] == 0) & (targets[:, number] >= 0)
        right = (targets[rest, number] == 1).numpy()
        found.append(area_ap(scores[rest, number].numpy(), right) if right.any() else np.nan)
    return found
