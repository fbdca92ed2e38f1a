"""Computes mean intersection over union of class maps, with pixels of 255 not judged.

Equals Detectron2's SemSegEvaluator: a class without ground truth is left out of the means (NaN by itself),
so false pixels of it count against the classes that they cover, and nowhere else.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from transfer.datasets.base import Dataset
from transfer.datasets.class_maps import read_class_map
from transfer.datasets.mask_images import IGNORE
from transfer.errors import DataError
from transfer.evaluation.prediction import Prediction
from transfer.evaluation.scores import Scores


def evaluate_sem_seg(dataset: Dataset[None], predictions: Sequence[Prediction]) -> Scores:
    """{"sem_seg": {"mIoU", "fwIoU", "mACC", "pACC"}}, by class {"IoU", "ACC"}."""
    names = dataset.metadata["stuff_classes"]
    means, by_class = scores_of(confusion(dataset, predictions, len(names)))
    per_class = {key: dict(zip(names, map(float, v), strict=True)) for key, v in by_class.items()}
    return Scores({"sem_seg": means}, {"sem_seg": per_class})


def confusion(dataset: Dataset[None], predictions: Sequence[Prediction], num_classes: int) -> np.ndarray:
    """(C, C) pixel counts, rows ground truth, columns prediction.

    DataError unless every image has one full map.
    """
    by_id = by_image(dataset, predictions)
    encoding = dataset.metadata["sem_seg_encoding"]
    total = np.zeros((num_classes, num_classes), np.int64)
    for record in dataset.records:
        truth = read_class_map(record["sem_seg_file_name"], encoding)
        total += count(truth, class_map(by_id[record["image_id"]], truth.shape, num_classes), num_classes)
    return total


def count(truth: np.ndarray, guess: np.ndarray, num_classes: int) -> np.ndarray:
    """(C, C) counts of two (H, W) class maps; pixels whose truth is 255 do not count."""
    judged = truth != IGNORE
    pairs = truth[judged].astype(np.int64) * num_classes + guess[judged]
    return np.bincount(pairs, minlength=num_classes**2).reshape(num_classes, num_classes)


def by_image(dataset: Dataset[Any], predictions: Sequence[Prediction]) -> dict[Any, Prediction]:
    """Predictions by image id; DataError for a missing, unknown or repeated image: no map has no meaning."""
    ids = {r["image_id"] for r in dataset.records}
    out: dict[Any, Prediction] = {}
    for p in predictions:
        if p.image_id not in ids:
            raise DataError(
                f"prediction of image {p.image_id!r}: no such image in {dataset.name}; wrong split?"
            )
        if p.image_id in out:
            raise DataError(f"prediction of image {p.image_id!r}: given twice; expected one for each image")
        out[p.image_id] = p
    missing = sorted(map(str, ids - set(out)))
    if missing:
        raise DataError(
            f"no prediction for {len(missing)} of {len(ids)} images, first {missing[0]}; all need a class map"
        )
    return out


def class_map(prediction: Prediction, shape: tuple[int, ...], num_classes: int) -> np.ndarray:
    """The checked (H, W) int64 map of a prediction."""
    guess = prediction.sem_seg
    where = f"prediction of image {prediction.image_id!r}"
    if guess is None:
        raise DataError(f"{where}: no sem_seg; expected a class map of {shape[1]}x{shape[0]} pixels")
    guess = np.asarray(guess)
    if guess.shape != shape or not np.issubdtype(guess.dtype, np.integer):
        raise DataError(
            f"{where}: {guess.dtype} {guess.shape}; expected integers {shape}, the size of the image"
        )
    if guess.size and not (int(guess.min()) >= 0 and int(guess.max()) < num_classes):
        raise DataError(f"{where}: classes {guess.min()}..{guess.max()}; expected 0..{num_classes - 1}")
    return guess.astype(np.int64)


def scores_of(table: np.ndarray) -> tuple[dict[str, float], dict[str, np.ndarray]]:
    """Means in percent, and (C,) IoU and accuracy in percent, NaN where a class has no ground truth."""
    hits, truth, guess = np.diag(table).astype(float), table.sum(1).astype(float), table.sum(0).astype(float)
    there = truth > 0
    iou, accuracy = np.full(len(hits), np.nan), np.full(len(hits), np.nan)
    iou[there] = hits[there] / (truth + guess - hits)[there]
    accuracy[there] = hits[there] / truth[there]
    if not there.any():
        return dict.fromkeys(("mIoU", "fwIoU", "mACC", "pACC"), math.nan), {"IoU": iou, "ACC": accuracy}
    weight = truth / truth.sum()
    means = {
        "mIoU": iou[there].mean(),
        "fwIoU": (iou * weight)[there].sum(),
        "mACC": accuracy[there].mean(),
        "pACC": hits.sum() / truth.sum(),
    }
    return {k: 100.0 * float(v) for k, v in means.items()}, {"IoU": 100.0 * iou, "ACC": 100.0 * accuracy}
