"""COCO's metric for boxes, masks and person keypoints.

No detections score 0 where there is something to find (Detectron2 says NaN); a size without ground truth is
NaN. Masks count with their own area and keypoints with the area of their box, as Detectron2 hands them to
the metric.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from transfer.datasets.base import Dataset
from transfer.evaluation.coco_backends import BACKENDS, Scores, available
from transfer.evaluation.detections import detections, tasks_of
from transfer.evaluation.prediction import Prediction

_NAMES = {
    "bbox": ("AP", "AP50", "AP75", "APs", "APm", "APl"),
    "segm": ("AP", "AP50", "AP75", "APs", "APm", "APl"),
    "keypoints": ("AP", "AP50", "AP75", "APm", "APl"),
}
_AP50, _AP75 = 0, 5  # positions in the threshold axis


def evaluate_coco(
    dataset: Dataset, predictions: Sequence[Prediction], backend: str | None = None
) -> dict[str, dict[str, float]]:
    """{task: {"AP", "AP50", ...}} in percent for the tasks that the predictions hold."""
    scores = _score(dataset, predictions, backend)
    return {
        task: {name: percent(value) for name, value in zip(_NAMES[task], stats, strict=False)}
        for task, (stats, _) in scores.items()
    }


def evaluate_coco_per_class(
    dataset: Dataset, predictions: Sequence[Prediction], backend: str | None = None
) -> dict[str, dict[str, dict[str, float]]]:
    """{task: {"AP" | "AP50" | "AP75": {class: percent}}}; NaN for a class without ground truth."""
    names = dataset.metadata["thing_classes"]
    out: dict[str, dict[str, dict[str, float]]] = {}
    for task, (_, precision) in _score(dataset, predictions, backend).items():
        table = precision[:, :, :, 0, -1]  # all sizes, most detections
        rows = {"AP": table, "AP50": table[[_AP50]], "AP75": table[[_AP75]]}
        out[task] = {
            key: {name: _mean(values[:, :, k]) for k, name in enumerate(names)}
            for key, values in rows.items()
        }
    return out


def _score(dataset: Dataset, predictions: Sequence[Prediction], backend: str | None) -> dict[str, Scores]:
    run = BACKENDS[backend or available()[0]]
    found = detections(dataset, predictions)
    return {task: run(dataset.ground_truth, found, task) for task in tasks_of(dataset, predictions)}


def percent(value: Any) -> float:
    """COCO's -1 means undefined."""
    return math.nan if value < 0 else 100.0 * float(value)


def _mean(precision: np.ndarray) -> float:
    defined = precision[precision > -1]
    return 100.0 * float(defined.mean()) if defined.size else math.nan
