"""Computes the average precision of one ranking, by the three definitions that papers mix under one name."""

from __future__ import annotations

import math

import numpy as np

from transfer.probes.checks import ProbeError

ELEVEN_POINTS = np.arange(0.0, 1.1, 0.1)  # summed steps, as in the devkit's port


def step_ap(scores: np.ndarray, positive: np.ndarray) -> float:
    """The sum of precision times the gain of recall, equal scores as one step; scikit-learn's, for (N,)."""
    precision, recall, score = _curve(scores, positive)
    last = np.append(np.flatnonzero(np.diff(score)), len(score) - 1)  # of equal scores
    return float((np.diff(recall[last], prepend=0.0) * precision[last]).sum())


def area_ap(scores: np.ndarray, positive: np.ndarray) -> float:
    """The area under the precision that no greater recall exceeds; VISSL's VOC07 SVM and VOC from 2010 on."""
    precision, recall, _ = _curve(scores, positive)
    return float((np.diff(recall, prepend=0.0) * _envelope(precision)).sum())


def eleven_point_ap(scores: np.ndarray, positive: np.ndarray) -> float:
    """The mean of that precision at recalls 0, 0.1, ... 1; VOC 2007's own, and SimCLR's for VOC07."""
    precision, recall, _ = _curve(scores, positive)
    at = np.searchsorted(recall, ELEVEN_POINTS, "left")
    return math.fsum(_envelope(precision)[at[at < len(recall)]]) / len(ELEVEN_POINTS)


def _envelope(precision: np.ndarray) -> np.ndarray:
    return np.maximum.accumulate(precision[::-1])[::-1]


def _curve(scores: np.ndarray, positive: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Precision and recall after each item by falling score, and the score; equal scores keep their order."""
    if scores.shape != positive.shape or scores.ndim != 1:
        raise ProbeError(f"scores {scores.shape}, truth {positive.shape}: expected (N,) of both")
    if not np.isfinite(scores).all():
        raise ProbeError("scores: not all are finite; look at the features that they come from")
    if not positive.any():
        raise ProbeError("truth: no positive item, expected 1 or more; leave this class out")
    order = np.argsort(-scores, kind="stable")
    hits = np.cumsum(positive[order], dtype=float)
    return hits / np.arange(1, len(hits) + 1), hits / hits[-1], scores[order]
