"""Keeps the pixels that each class has, gets and shares in each image: what a mean IoU is made of."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from transfer.datasets.base import Dataset
from transfer.datasets.class_maps import read_class_map
from transfer.evaluation.per_image import Outcomes
from transfer.evaluation.prediction import Prediction
from transfer.evaluation.sem_seg.metric import by_image, class_map, count


def sem_seg_outcomes(dataset: Dataset[None], predictions: Sequence[Prediction]) -> Outcomes:
    """mIoU over images; the other metrics of class maps are not kept."""
    by_id = by_image(dataset, predictions)
    encoding, classes = dataset.metadata["sem_seg_encoding"], len(dataset.metadata["stuff_classes"])
    parts = []
    for record in dataset.records:
        truth = read_class_map(record["sem_seg_file_name"], encoding)
        table = count(truth, class_map(by_id[record["image_id"]], truth.shape, classes), classes)
        parts.append([np.diag(table), table.sum(axis=1), table.sum(axis=0)])
    hits, truths, guesses = np.array(parts, np.int64).reshape(-1, 3, classes).swapaxes(0, 1)
    return Outcomes(
        [record["image_id"] for record in dataset.records],
        {"sem_seg/mIoU": {"kind": "iou", "of": "sem_seg"}},
        {"sem_seg.hits": hits, "sem_seg.truth": truths, "sem_seg.guess": guesses},
    )
