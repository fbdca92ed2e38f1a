"""Computes VOC's average precision, as the devkit defines it, like Detectron2's PascalVOCDetectionEvaluator.

A detection takes the box of its class and image that it overlaps most (first one on ties). It is a hit if
that overlap is *greater* than the threshold and nobody with a higher score took the box, ignored if the box
is `difficult`, a miss otherwise. The devkit's inclusive 1-based pixels (width = xmax - xmin + 1) equal
continuous 0-based boxes.

Differences from Detectron2, which this equals otherwise: scores and boxes are not rounded (it rounds to 3
and 1 decimals through its text files), equal scores keep their order, and a class without any (not
difficult) ground truth is NaN and left out of the means, where Detectron2 counts 0. All full VOC splits
hold all 20 classes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from transfer.datasets.base import Dataset
from transfer.evaluation.prediction import Prediction, check_predictions
from transfer.evaluation.scores import Scores

THRESHOLDS = [t / 100.0 for t in range(50, 100, 5)]
# Summed steps, as in the devkit's port: 0.30000000000000004 instead of 0.3 moves recalls of exactly 3/10.
ELEVEN_POINTS = np.arange(0.0, 1.1, 0.1)


@dataclass
class Matches:
    """Detections of one class by falling score, (N,) each."""

    image: np.ndarray  # the index of its record
    score: np.ndarray
    iou: np.ndarray  # the best overlap
    gt: np.ndarray  # the index of the box that it is with, -1 for none
    difficult: np.ndarray  # whether that box is
    box: np.ndarray  # (N, 4), as predicted
    positives: int  # ground-truth boxes that are not difficult


def evaluate_voc(dataset: Dataset[None], predictions: Sequence[Prediction]) -> Scores:
    """{"bbox": {"AP", "AP50", "AP75"}}, and the same by class; AP is the mean over IoU 0.50:0.05:0.95."""
    table = average_precisions(dataset, predictions)  # (classes, thresholds)
    names = dataset.metadata["thing_classes"]
    rows = {"AP": table.mean(axis=1), "AP50": table[:, 0], "AP75": table[:, 5]}
    per_class = {key: dict(zip(names, map(float, row), strict=True)) for key, row in rows.items()}
    return Scores({"bbox": _means(table)}, {"bbox": per_class})


def _means(table: np.ndarray) -> dict[str, float]:
    """Over the classes that have ground truth."""
    defined = table[~np.isnan(table).any(axis=1)]
    if not len(defined):
        return {"AP": math.nan, "AP50": math.nan, "AP75": math.nan}
    means = [math.fsum(column) / len(column) for column in defined.T]
    return {"AP": math.fsum(means) / len(means), "AP50": means[0], "AP75": means[5]}


def average_precisions(dataset: Dataset[None], predictions: Sequence[Prediction]) -> np.ndarray:
    """(classes, 10) AP in percent at each of THRESHOLDS: 11-point for VOC 2007, else area under the curve."""
    names = dataset.metadata["thing_classes"]
    check_predictions(predictions, (r["image_id"] for r in dataset.records), len(names))
    eleven = dataset.metadata["year"] == 2007
    matches = match(dataset, predictions, len(names))
    return np.array([[100.0 * _average_precision(m, t, eleven) for t in THRESHOLDS] for m in matches])


def match(dataset: Dataset[None], predictions: Sequence[Prediction], num_classes: int) -> list[Matches]:
    """The best overlap of every detection, class by class."""
    image_index = {r["image_id"]: i for i, r in enumerate(dataset.records)}
    truth = [(i, a) for i, r in enumerate(dataset.records) for a in r["annotations"]]
    gt_box = np.array([a["bbox"] for _, a in truth], float).reshape(-1, 4)
    gt_class = np.array([a["category_id"] for _, a in truth], int)
    gt_difficult = np.array([a["difficult"] for _, a in truth], bool)
    gt_key = np.array([i for i, _ in truth], int) * num_classes + gt_class  # one number for (image, class)

    # In the order of the predictions, as Detectron2 has them; the stable sort keeps it on equal scores.
    boxes = np.concatenate([np.zeros((0, 4)), *(p.boxes for p in predictions)]).astype(float)
    scores = np.concatenate([np.zeros(0), *(p.scores for p in predictions)])
    classes = np.concatenate([np.zeros(0, int), *(p.classes for p in predictions)])
    images = np.repeat([image_index[p.image_id] for p in predictions], [len(p) for p in predictions]).astype(
        int
    )
    order = np.lexsort((-scores, classes))
    boxes, classes, images, scores = boxes[order], classes[order], images[order], scores[order]

    iou, gt = best_overlap(boxes, images * num_classes + classes, gt_box, gt_key)
    difficult = np.zeros(len(gt), bool)
    difficult[gt >= 0] = gt_difficult[gt[gt >= 0]]
    edges = np.searchsorted(classes, np.arange(num_classes + 1))
    positives = np.bincount(gt_class[~gt_difficult], minlength=num_classes)
    return [
        Matches(images[a:b], scores[a:b], iou[a:b], gt[a:b], difficult[a:b], boxes[a:b], int(n))
        for a, b, n in zip(edges[:-1], edges[1:], positives, strict=True)
    ]


def best_overlap(
    boxes: np.ndarray, keys: np.ndarray, gt_boxes: np.ndarray, gt_keys: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """For each box the greatest IoU with the ground truth of equal key, and the index of the first such box.

    boxes (N, 4), keys (N,), gt_boxes (M, 4), gt_keys (M,) -> (N,) float, -inf where there is none, and (N,)
    int, -1 there. All pairs of equal key are laid out in one flat array, so no Python loop runs over images.
    """
    best, index = np.full(len(boxes), -np.inf), np.full(len(boxes), -1)
    by_key = np.argsort(gt_keys, kind="stable")
    sorted_keys = gt_keys[by_key]
    first = np.searchsorted(sorted_keys, keys, "left")
    count = np.searchsorted(sorted_keys, keys, "right") - first
    some = np.flatnonzero(count)
    if not len(some):
        return best, index
    count, first = count[some], first[some]
    start = np.cumsum(count) - count  # where the pairs of each box begin
    row = np.repeat(some, count)
    column = by_key[np.arange(count.sum()) - np.repeat(start - first, count)]
    a, b = boxes[row], gt_boxes[column]
    size = np.maximum(np.minimum(a[:, 2:], b[:, 2:]) - np.maximum(a[:, :2], b[:, :2]), 0.0)
    inter = size[:, 0] * size[:, 1]
    area = (a[:, 2] - a[:, 0]) * (a[:, 3] - a[:, 1])
    with np.errstate(invalid="ignore", divide="ignore"):
        iou = inter / (area + (b[:, 2] - b[:, 0]) * (b[:, 3] - b[:, 1]) - inter)
    top = np.maximum.reduceat(iou, start)
    hits = np.flatnonzero(iou == np.repeat(top, count))
    _, first_hit = np.unique(row[hits], return_index=True)
    best[some], index[some] = top, column[hits[first_hit]]
    return best, index


def _average_precision(m: Matches, threshold: float, eleven: bool) -> float:
    if m.positives == 0:
        return math.nan
    hit, ignored = judge(m, threshold)
    return average(hit[~ignored], m.positives, eleven)


def average(hit: np.ndarray, positives: int, eleven: bool) -> float:
    """AP in [0, 1] of detections by falling score, (N,) bool whether each is a hit, of `positives` boxes."""
    true = np.cumsum(hit)
    precision = true / np.arange(1, len(hit) + 1)
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    if not eleven:
        return math.fsum(envelope[hit]) / positives
    at = np.searchsorted(true / positives, ELEVEN_POINTS, "left")
    return math.fsum(envelope[at[at < len(hit)]]) / len(ELEVEN_POINTS)


def judge(m: Matches, threshold: float) -> tuple[np.ndarray, np.ndarray]:
    """(hit, ignored), (N,) bool each: whether a detection finds a box, or lies on a difficult one."""
    near = m.iou > threshold
    claims = np.flatnonzero(near & ~m.difficult)
    hit = np.zeros(len(near), bool)
    hit[claims[np.unique(m.gt[claims], return_index=True)[1]]] = True  # of each box the first
    return hit, near & m.difficult
