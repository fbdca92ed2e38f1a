"""Judges detections on COCO and LVIS as their metrics do at an overlap of 0.5, for TIDE's errors.

Crowds swallow detections of their class that they cover by half. Of LVIS, detections of a class do not count
where nobody looked for the class, nor those that find nothing where not all objects of it are labelled.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from transfer.datasets.base import Dataset
from transfer.datasets.coco.reader import CocoTruth
from transfer.datasets.coco.rle import whole_mask
from transfer.evaluation.coco.detections import Detections, detections, tasks_of
from transfer.evaluation.coco.lvis import judged as judged_by_lvis
from transfer.evaluation.pairs import Boxes, Pairs, box_pairs, mask_pairs
from transfer.evaluation.prediction import Prediction
from transfer.evaluation.tide import BACKGROUND, ENOUGH, Errors, Judged, find_errors

MAX_DETECTIONS = 100  # of a class in an image, of COCO
COVERED = 0.5  # of a detection by a crowd, which swallows it
RECALLS = np.linspace(0.0, 1.0, 101)
TASKS = ("bbox", "segm")


def coco_errors(dataset: Dataset[CocoTruth], predictions: Sequence[Prediction]) -> dict[str, Errors]:
    """{"bbox": errors, "segm": errors} of the tasks that the predictions hold; others have none."""
    found, names = detections(dataset, predictions), dataset.metadata["thing_classes"]
    lvis = dataset.metadata["evaluator"] == "lvis"
    tasks = [task for task in tasks_of(dataset, predictions) if task in TASKS]
    return {task: find_errors(_judged(dataset.ground_truth, found, task, lvis), names) for task in tasks}


def _judged(truth: CocoTruth, found: Detections, task: str, lvis: bool) -> Judged:
    if lvis:
        found, _ = judged_by_lvis(found, task)
    found, image = _in_order(truth, found, lvis)
    rows, ids = truth.table.rows, np.array([category["id"] for category in truth.categories])
    objects = np.flatnonzero(rows["area"] > 0) if lvis else np.arange(len(rows))
    objects = objects[np.argsort(truth.images.index_of(rows["image_id"][objects]), kind="stable")]
    crowd = rows["iscrowd"][objects] != 0
    single, crowds = objects[~crowd], objects[crowd]
    of_class, classes = (np.searchsorted(ids, c) for c in (found.category_id, rows["category_id"][single]))
    pairs = _pairs(truth, found, image, single, task, share=False)
    match = _matched(len(found), pairs, of_class[pairs.row] == classes[pairs.column])
    ignored = np.zeros(len(found), bool)
    inside, around, part = _pairs(truth, found, image, crowds, task, share=True)
    same = found.category_id[inside] == rows["category_id"][crowds[around]]
    ignored[inside[same & (part >= COVERED)]] = True
    if lvis:
        there = truth.images.index_of(rows["image_id"][single]) * len(ids) + classes
        ignored |= _unknown(truth, image * len(ids) + of_class, there, ids)
    return Judged(of_class, found.score, match, ignored & (match < 0), classes, pairs, average)


def average(hit: np.ndarray, objects: int) -> float:
    """AP in [0, 1] at COCO's 101 recalls, of detections by falling score, (N,) bool whether each is a hit."""
    true = np.cumsum(hit)
    precision = true / np.arange(1, len(hit) + 1)
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    at = np.searchsorted(true / objects, RECALLS, "left")
    return float(envelope[at[at < len(hit)]].sum()) / len(RECALLS)


def _in_order(truth: CocoTruth, found: Detections, lvis: bool) -> tuple[Detections, np.ndarray]:
    """The detections that count, by image and falling score, and the (D,) places of their images."""
    image = truth.images.index_of(found.image_id)
    order = np.lexsort((-found.score, image))
    if not lvis:  # whose own cap is over all classes
        grouped = order[np.lexsort((found.category_id[order], image[order]))]
        _, first, count = np.unique(
            np.stack([image, found.category_id])[:, grouped], axis=1, return_index=True, return_counts=True
        )
        rank = np.empty(len(grouped), np.int64)
        rank[grouped] = np.arange(len(grouped)) - np.repeat(first, count)
        order = order[rank[order] < MAX_DETECTIONS]
    return found.take(order), image[order]


def _matched(number: int, pairs: Pairs, same: np.ndarray) -> np.ndarray:
    """(number,) the object of each detection, -1 for none: by falling score the most overlapped that is free.

    same: (P,) bool, pairs of one class. Of equal overlaps the last object is taken, as by pycocotools.
    """
    near = same & (pairs.overlap >= ENOUGH)
    row, column, overlap = (values[near] for values in pairs)
    order = np.lexsort((-column, -overlap, row))
    match, taken = np.full(number, -1), set()
    for detection, one in zip(row[order].tolist(), column[order].tolist(), strict=True):
        if match[detection] < 0 and one not in taken:
            match[detection] = one
            taken.add(one)
    return match


def _unknown(truth: CocoTruth, asked: np.ndarray, there: np.ndarray, ids: np.ndarray) -> np.ndarray:
    """(D,) bool: of which detections it is not known whether they are right (LVIS's federated lists).

    asked: (D,), there: (G,), of detections and objects: place of the image times classes, plus class.
    """

    def listed(name: str) -> np.ndarray:
        lists = truth.images.extra[name]
        at = np.repeat(np.arange(len(lists)), [len(one) for one in lists])
        named = np.concatenate([np.zeros(0, np.int64), *(np.array(one, np.int64) for one in lists)])
        return at * len(ids) + np.searchsorted(ids, named)

    looked_for = np.isin(asked, np.concatenate([there, listed("neg_category_ids")]))
    return ~looked_for | np.isin(asked, listed("not_exhaustive_category_ids"))


def _pairs(
    truth: CocoTruth, found: Detections, image: np.ndarray, objects: np.ndarray, task: str, share: bool
) -> Pairs:
    """The pairs of the detections, by image, with these annotations, by boxes or by masks."""
    object_image = truth.images.index_of(truth.table.rows["image_id"][objects])
    if task == "bbox":
        boxes = _boxes(found.boxes, image)
        return box_pairs(boxes, _boxes(truth.table.rows["bbox"][objects], object_image), BACKGROUND, share)

    def of_object(number: int) -> dict[str, Any]:
        at = object_image[number]
        size = int(truth.images.height[at]), int(truth.images.width[at])
        return whole_mask(truth.table.segmentation(int(objects[number])), size)

    return mask_pairs(found.masks or [], image, of_object, object_image, BACKGROUND, share)


def _boxes(boxes: np.ndarray, image: np.ndarray) -> Boxes:
    """Boxes x, y, width, height; corners and areas as pycocotools reckons them."""
    corners = np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], axis=1)
    return Boxes(corners, boxes[:, 2] * boxes[:, 3], image)
