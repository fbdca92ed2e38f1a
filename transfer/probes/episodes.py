"""Measures few-shot classification: many small tasks drawn from one labelled set, each with its own classes.

The published protocol (Ericsson et al. 2021, A.3): 5 ways, 15 queries a class, 600 episodes, the class mean
that is nearest by Euclidean distance, mean and 1.96 standard errors. They draw from train, validation and
test images together; here the caller says which images there are.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from transfer.probes.checks import ProbeError, checked_features, checked_labels
from transfer.probes.protocols import EPISODE_QUERIES, EPISODE_WAYS, EPISODES


@dataclass(frozen=True)
class FewShot:
    """The result of E episodes, in percent."""

    mean: float
    interval: float  # half of the 95 % interval of the mean
    episodes: Tensor  # (E,)


def nearest_mean(support: Tensor, queries: Tensor) -> Tensor:
    """Classifies queries (M, D) by the nearest mean of support (ways, shots, D), in squared distance."""
    mean = support.mean(1)
    return (mean.square().sum(1) - 2 * queries @ mean.T).argmin(1)  # |x|^2 is the same for all means


def few_shot(
    features: Any,
    labels: Any,
    shots: int,
    seed: int,
    *,
    ways: int = EPISODE_WAYS,
    queries: int = EPISODE_QUERIES,
    episodes: int = EPISODES,
) -> FewShot:
    """Draws episodes from features (N, D) with labels (N,) and gives the mean accuracy over them.

    Every class that has images must have `shots` + `queries` of them, and there must be `ways` such classes.
    """
    rows = checked_features(features).double()
    labels, _ = checked_labels(labels, len(rows))
    members = _members(labels.cpu().numpy(), ways, shots, queries)
    if episodes < 2:
        raise ProbeError(f"episodes: {episodes}, expected 2 or more; {EPISODES} are published")
    truth = torch.arange(ways, device=rows.device).repeat_interleave(queries)
    found = []
    for number in range(episodes):
        picked = torch.from_numpy(draw(members, ways, shots + queries, seed, number)).to(rows.device)
        support, asked = rows[picked[:, :shots]], rows[picked[:, shots:]].flatten(0, 1)
        found.append(100 * (nearest_mean(support, asked) == truth).double().mean())
    values = torch.stack(found).cpu()
    return FewShot(float(values.mean()), 1.96 * float(values.std()) / math.sqrt(episodes), values)


def draw(members: list[np.ndarray], ways: int, images: int, seed: int, number: int) -> np.ndarray:
    """Draws the rows (ways, images) of episode `number`: classes, then images, without replacement."""
    random = np.random.default_rng([seed, number])
    classes = random.choice(len(members), ways, replace=False)
    return np.stack([random.choice(members[one], images, replace=False) for one in classes])


def _members(labels: np.ndarray, ways: int, shots: int, queries: int) -> list[np.ndarray]:
    """The rows of each class that has any."""
    if shots < 1 or queries < 1 or ways < 2:
        raise ProbeError(
            f"{ways} ways, {shots} shots, {queries} queries: expected at least 2 ways, 1 shot and 1 query"
        )
    present, counts = np.unique(labels, return_counts=True)
    if len(present) < ways:
        raise ProbeError(f"{ways} ways: there are {len(present)} classes; ask for fewer ways")
    if counts.min() < shots + queries:
        raise ProbeError(
            f"class {present[counts.argmin()]}: {counts.min()} images, expected {shots + queries} for "
            f"{shots} shots and {queries} queries; ask for fewer shots"
        )
    return np.split(np.argsort(labels, kind="stable"), np.cumsum(counts)[:-1])
