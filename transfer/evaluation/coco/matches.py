"""Keeps what every detection hit, image by image, as pycocotools matched it."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Sequence
from typing import Any

import numpy as np

from transfer.datasets.base import Dataset
from transfer.datasets.coco.reader import CocoTruth
from transfer.evaluation.coco.backends import PARTS, indexed, truth_document
from transfer.evaluation.coco.detections import Detections, detections, tasks_of
from transfer.evaluation.per_image import Outcomes, average_precision, joined
from transfer.evaluation.prediction import Prediction


def coco_outcomes(dataset: Dataset[CocoTruth], predictions: Sequence[Prediction]) -> Outcomes:
    """AP, AP50 and AP75 of every predicted task over images; values by size are not kept."""
    found = detections(dataset, predictions)
    return joined([_task(dataset.ground_truth, found, task) for task in tasks_of(dataset, predictions)])


def _task(truth: CocoTruth, found: Detections, task: str) -> Outcomes:
    from pycocotools.cocoeval import COCOeval

    with contextlib.redirect_stdout(io.StringIO()):
        run = COCOeval(*indexed(truth_document(truth, task), found.results(*PARTS[task])), task)
        # objects of all sizes, and the most detections: what AP, AP50 and AP75 are of
        run.params.areaRng, run.params.areaRngLbl = run.params.areaRng[:1], run.params.areaRngLbl[:1]
        run.params.maxDets = run.params.maxDets[-1:]
        run.evaluate()
    images, categories = run.params.imgIds, run.params.catIds
    image, of_class, score = [], [], []
    hit, ignored = [np.zeros((0, 10), bool)], [np.zeros((0, 10), bool)]
    truth_image, truth_class = [], []
    for number, one in enumerate(run.evalImgs):
        k, i = divmod(number, len(images))
        if one is None:
            continue
        n, objects = len(one["dtScores"]), int((one["gtIgnore"] == 0).sum())
        image += [i] * n
        of_class += [k] * n
        score += one["dtScores"]
        left_out = one["dtIgnore"].astype(bool).T
        hit.append((one["dtMatches"].T != 0) & ~left_out)
        ignored.append(left_out)
        truth_image += [i] * objects
        truth_class += [k] * objects
    columns: dict[str, Any] = {
        "image": np.array(image, np.int64),
        "class": np.array(of_class, np.int64),
        "score": np.array(score, float),
        "hit": np.concatenate(hit),
        "ignored": np.concatenate(ignored),
        "truth_image": np.array(truth_image, np.int64),
        "truth_class": np.array(truth_class, np.int64),
        "classes": np.int64(len(categories)),
    }
    return average_precision(task, "coco", [int(id) for id in images], columns)
