"""Tells what a probe did on each test image, in the form that rows are told apart by."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from torch import Tensor

from transfer.evaluation.per_image import Outcomes


def classified(
    of: str, metric: str, truth: np.ndarray, predicted: Tensor
) -> Callable[[Sequence[str]], Outcomes]:
    """Tells what a classifier did on each image, for the metric OF/METRIC."""
    kind = "right" if metric == "top1" else "right_per_class"
    arrays = {f"{of}.label": truth, f"{of}.predicted": predicted.numpy()}
    return lambda ids: Outcomes(ids, {f"{of}/{metric}": {"kind": kind, "of": of}}, arrays)


def ranked(of: str, targets: np.ndarray, scores: np.ndarray) -> Callable[[Sequence[str]], Outcomes]:
    """Tells how each class ranked the images, for OF/mAP (area) and OF/mAP11: a detection an image and class.

    targets: (N, classes) of 1, 0 and -1, whose images are not ranked for that class. scores: (N, classes).
    """
    image, of_class = np.nonzero(targets >= 0)
    score = scores[image, of_class]
    order = np.lexsort((-score, of_class))  # stable: equal scores stay in the order of the images
    truth_image, truth_class = np.nonzero(targets == 1)
    columns = {
        "image": image[order],
        "score": score[order],
        "edges": np.searchsorted(of_class[order], np.arange(targets.shape[1] + 1)),
        "hit": (targets[image, of_class] == 1).astype(np.int64)[order],
        "ignored": np.zeros(len(order), np.int64),
        "truth_image": truth_image,
        "truth_class": truth_class,
    }
    arrays = {f"{of}.{name}": values for name, values in columns.items()}
    kinds = {f"{of}/mAP": "area", f"{of}/mAP11": "eleven"}
    metrics = {name: {"kind": kind, "of": of, "thresholds": [0]} for name, kind in kinds.items()}
    return lambda ids: Outcomes(ids, metrics, arrays)
