"""LVIS's metric: AP over frequent, common and rare classes, 300 detections an image, absent classes only
where known.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from transfer.datasets.base import Dataset
from transfer.datasets.coco import CocoTruth
from transfer.evaluation.coco import percent
from transfer.evaluation.detections import Detections, detections, tasks_of
from transfer.evaluation.prediction import Prediction
from transfer.evaluation.private_modules import lvis as load_lvis

NAMES = ("AP", "AP50", "AP75", "APs", "APm", "APl", "APr", "APc", "APf")
MAX_DETECTIONS = 300
_PARTS = {"bbox": "bbox", "segm": "segmentation"}


def evaluate_lvis(dataset: Dataset, predictions: Sequence[Prediction]) -> dict[str, dict[str, float]]:
    """{"bbox": {...}, "segm": {...}} in percent; NaN for a group of classes without ground truth."""
    return {
        task: {name: percent(run.results[name]) for name in NAMES}
        for task, run in _runs(dataset, predictions).items()
    }


def evaluate_lvis_per_class(
    dataset: Dataset, predictions: Sequence[Prediction]
) -> dict[str, dict[str, dict[str, float]]]:
    """{task: {"AP": {class: percent}, "AP50": ..., "AP75": ...}}."""
    names = dataset.metadata["thing_classes"]
    out: dict[str, dict[str, dict[str, float]]] = {}
    for task, run in _runs(dataset, predictions).items():
        table = run.eval["precision"][:, :, :, 0]
        rows = {"AP": table, "AP50": table[:1], "AP75": table[5:6]}
        out[task] = {
            key: {name: _mean(values[:, :, k]) for k, name in enumerate(names)}
            for key, values in rows.items()
        }
    return out


def _mean(precision: np.ndarray) -> float:
    defined = precision[precision > -1]
    return 100.0 * float(defined.mean()) if defined.size else math.nan


def _runs(dataset: Dataset, predictions: Sequence[Prediction]) -> dict[str, Any]:
    found = detections(dataset, predictions)
    return {task: _run(dataset.ground_truth, found, task) for task in tasks_of(dataset, predictions)}


def _run(truth: CocoTruth, found: Detections, task: str) -> Any:
    data, results, evaluation = load_lvis()
    gt = _filled(data, _document(truth, task == "segm"))
    if len(found):
        dt = results(gt, found.results(_PARTS[task]), max_dets=MAX_DETECTIONS)
    else:  # the library cannot take an empty list
        dt = _filled(results, {**gt.dataset, "annotations": []})
    run = evaluation(gt, dt, task)
    run.run()
    return run


def _filled(cls: Any, document: dict[str, Any]) -> Any:
    made = cls.__new__(cls)
    made.logger = logging.getLogger(__name__)
    made.dataset = document
    made._create_index()
    return made


def _document(truth: CocoTruth, with_masks: bool) -> dict[str, Any]:
    table, images = truth.table, truth.images
    columns: dict[str, Sequence[Any]] = {
        name: table.rows[name].tolist() for name in ("id", "image_id", "category_id", "bbox", "area")
    }
    # The library makes masks of boxes where it finds none, so the key must be there.
    columns["segmentation"] = [table.segmentation(n) if with_masks else [] for n in range(len(table))]
    entries = zip(images.ids.tolist(), images.width.tolist(), images.height.tolist(), strict=True)
    return {
        "images": [
            {"id": i, "width": w, "height": h, **{key: values[k] for key, values in images.extra.items()}}
            for k, (i, w, h) in enumerate(entries)
        ],
        "categories": truth.categories,
        "annotations": [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)],
    }
