"""Joins the predictions of all images into columns in COCO's terms.

Boxes become [x, y, width, height], classes the category ids of the file, keypoints pixel indices.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from transfer.datasets.base import Dataset
from transfer.datasets.coco.reader import CocoTruth
from transfer.errors import DataError
from transfer.evaluation.prediction import Prediction, check_predictions


@dataclass
class Detections:
    """Columns of N detections, image after image.

    image_id, category_id, score: (N,). boxes: (N, 4) float64 x, y, width, height. masks: N run-length dicts.
    keypoints: (N, 3K) x, y, score in turn.
    """

    image_id: np.ndarray
    category_id: np.ndarray
    boxes: np.ndarray
    score: np.ndarray
    masks: list[dict[str, Any]] | None
    keypoints: np.ndarray | None

    def __len__(self) -> int:
        return len(self.score)

    def take(self, rows: Any) -> Detections:
        """The detections of a slice, or of an array of row numbers, in that order."""
        masks = self.masks
        if masks is not None:
            masks = masks[rows] if isinstance(rows, slice) else [masks[i] for i in rows]
        return Detections(
            self.image_id[rows],
            self.category_id[rows],
            self.boxes[rows],
            self.score[rows],
            masks,
            None if self.keypoints is None else self.keypoints[rows],
        )

    def results(self, *parts: str) -> list[dict[str, Any]]:
        """COCO result dicts of image_id, category_id, score and `parts`: bbox, segmentation, keypoints."""
        columns: dict[str, list[Any]] = {
            "image_id": self.image_id.tolist(),
            "category_id": self.category_id.tolist(),
            "score": self.score.tolist(),
        }
        if "bbox" in parts:
            columns["bbox"] = self.boxes.tolist()
        if "segmentation" in parts:
            columns["segmentation"] = list(self.masks or [])
        if "keypoints" in parts and self.keypoints is not None:
            columns["keypoints"] = self.keypoints.tolist()
        return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def tasks_of(dataset: Dataset[CocoTruth], predictions: Sequence[Prediction]) -> list[str]:
    """The tasks of the data set that the predictions hold; without a single detection all of them."""
    have = {"bbox": True}
    for task, part in (("segm", "masks"), ("keypoints", "keypoints"), ("densepose", "densepose")):
        given = [getattr(p, part) is not None for p in predictions]
        if any(given) and not all(g or not len(p) for g, p in zip(given, predictions, strict=True)):
            raise DataError(f"{part} given for some images and not for others; expected all or none")
        have[task] = any(given) or not any(map(len, predictions))
    return [task for task in dataset.metadata["tasks"] if have[task]]


def detections(dataset: Dataset[CocoTruth], predictions: Sequence[Prediction]) -> Detections:
    """Checks and joins predictions; DataError for anything that is no prediction on this data set."""
    ids = dataset.ground_truth.images.ids.tolist()
    categories = dataset.ground_truth.categories
    check_predictions(predictions, ids, len(categories))
    some = [p for p in predictions if len(p)]
    category_ids = np.array([c["id"] for c in categories], np.int64)
    classes = np.concatenate([np.zeros(0, np.int64), *(p.classes for p in some)]).astype(np.int64)
    boxes = _xywh(np.concatenate([p.boxes for p in some])) if some else np.zeros((0, 4))
    masks = keypoints = None
    if some and some[0].masks is not None:
        masks = [m for p in some for m in p.masks or []]
    if some and some[0].keypoints is not None:
        keypoints = np.concatenate([_pixel_indices(p.keypoints) for p in some])
    return Detections(
        np.repeat([p.image_id for p in some], [len(p) for p in some]).astype(np.int64),
        category_ids[classes],
        boxes,
        np.concatenate([np.zeros(0), *(p.scores for p in some)]),
        masks,
        keypoints,
    )


def _xywh(boxes: np.ndarray) -> np.ndarray:
    """Subtracts in the precision of the boxes, as Detectron2 does: the last bit can decide a match."""
    out = np.array(boxes)
    out[:, 2:] -= out[:, :2]
    return out.astype(float)


def _pixel_indices(keypoints: Any) -> np.ndarray:
    out = np.array(keypoints, copy=True)
    out[:, :, :2] -= np.asarray(0.5, out.dtype)
    return out.reshape(len(out), -1).astype(float)
