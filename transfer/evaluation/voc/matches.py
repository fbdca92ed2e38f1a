"""Keeps what every detection hit on VOC, image by image, as its metric matched it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from transfer.datasets.base import Dataset
from transfer.evaluation.per_image import Outcomes, average_precision
from transfer.evaluation.prediction import Prediction, check_predictions
from transfer.evaluation.voc.metric import THRESHOLDS, judge, match


def voc_outcomes(dataset: Dataset[None], predictions: Sequence[Prediction]) -> Outcomes:
    """AP, AP50 and AP75 over images, by the rule of the data set's year."""
    ids = [record["image_id"] for record in dataset.records]
    classes = len(dataset.metadata["thing_classes"])
    check_predictions(predictions, ids, classes)
    matches = match(dataset, predictions, classes)
    judged = [[judge(m, threshold) for threshold in THRESHOLDS] for m in matches]
    hit, ignored = (
        np.concatenate([np.stack([pair[part] for pair in one], axis=1) for one in judged]) for part in (0, 1)
    )
    truth = [
        (i, a["category_id"])
        for i, record in enumerate(dataset.records)
        for a in record["annotations"]
        if not a["difficult"]
    ]
    truth_image, truth_class = np.array(truth, np.int64).reshape(-1, 2).T
    columns = {
        "image": np.concatenate([m.image for m in matches]),
        "class": np.repeat(np.arange(classes), [len(m.iou) for m in matches]),
        "score": np.concatenate([m.score for m in matches]).astype(float),
        "hit": hit,
        "ignored": ignored,
        "truth_image": truth_image,
        "truth_class": truth_class,
        "classes": np.int64(classes),
    }
    kind = "eleven" if dataset.metadata["year"] == 2007 else "area"
    return average_precision("bbox", kind, ids, columns)
