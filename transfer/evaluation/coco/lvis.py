"""Computes LVIS's metric: AP over all, frequent, common and rare classes, with 300 detections an image.

Detections of a class do not count in images of which it is not known whether they hold the class.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from transfer.datasets.base import Dataset
from transfer.datasets.coco.reader import CocoTruth
from transfer.datasets.coco.rle import areas
from transfer.evaluation.coco.backends import available
from transfer.evaluation.coco.detections import Detections, detections, tasks_of
from transfer.evaluation.coco.lvis_backends import BACKENDS
from transfer.evaluation.names import LVIS
from transfer.evaluation.prediction import Prediction
from transfer.evaluation.scores import Scores, classes_of, mean_percent

MAX_DETECTIONS = 300


def evaluate_lvis(
    dataset: Dataset[CocoTruth], predictions: Sequence[Prediction], backend: str | None = None
) -> Scores:
    """Scores "bbox" and "segm" by COCO's six and "APr", "APc", "APf"; by class "AP", "AP50", "AP75"."""
    run = BACKENDS[backend or available(BACKENDS)[0]]
    found = detections(dataset, predictions)
    truth = dataset.ground_truth
    frequencies = np.array([c["frequency"] for c in truth.categories])
    scores = Scores({}, {})
    for task in tasks_of(dataset, predictions):
        precision = run(truth, *judged(found, task), task)
        scores.summary[task] = summary(precision, frequencies)
        names = dataset.metadata["thing_classes"]
        scores.per_class[task] = classes_of(precision[:, :, :, 0], names)
    return scores


def judged(found: Detections, task: str) -> tuple[Detections, np.ndarray]:
    """The detections that the metric counts, and the area of each: the 300 best of an image, none empty.

    As lvis's LVISResults, which sorts the detections of an image by score only where it must drop some; that
    decides between equal scores.
    """
    _, first, count = np.unique(found.image_id, return_index=True, return_counts=True)
    kept = []
    for start, n in sorted(zip(first.tolist(), count.tolist(), strict=True)):  # images lie one after another
        rows = np.arange(start, start + n)
        if n > MAX_DETECTIONS:
            rows = rows[np.argsort(-found.score[rows], kind="stable")[:MAX_DETECTIONS]]
        kept.append(rows)
    best = found.take(np.concatenate([np.zeros(0, np.int64), *kept]))
    area = areas(best.masks or []).astype(float) if task == "segm" else best.boxes[:, 2] * best.boxes[:, 3]
    some = np.flatnonzero(area > 0)
    return best.take(some), area[some]


def summary(precision: np.ndarray, frequencies: np.ndarray) -> dict[str, float]:
    """The nine numbers of a (T, R, K, A) table, as LVISEval.summarize takes them to the last bit.

    frequencies: (K,) of "r", "c", "f".
    """
    everything = precision[:, :, :, 0]
    tables = [everything, everything[:1], everything[5:6]]
    tables += [precision[:, :, :, size] for size in (1, 2, 3)]
    tables += [everything[:, :, frequencies == group] for group in "rcf"]
    return {name: mean_percent(table) for name, table in zip(LVIS, tables, strict=True)}
