"""Computes COCO's metric for boxes, masks and person keypoints.

No detections score 0 where there is something to find (Detectron2 says NaN); a size without ground truth is
NaN. As in Detectron2, masks count with their own area and keypoints with that of their box.
"""

from __future__ import annotations

from collections.abc import Sequence

from transfer.datasets.base import Dataset
from transfer.datasets.coco.reader import CocoTruth
from transfer.evaluation.coco.backends import BACKENDS, available
from transfer.evaluation.coco.detections import detections, tasks_of
from transfer.evaluation.names import NAMES
from transfer.evaluation.prediction import Prediction
from transfer.evaluation.scores import Scores, classes_of, percent


def evaluate_coco(
    dataset: Dataset[CocoTruth], predictions: Sequence[Prediction], backend: str | None = None
) -> Scores:
    """Scores the tasks that the predictions hold: "AP", "AP50", ... and by class "AP", "AP50", "AP75"."""
    run = BACKENDS[backend or available(BACKENDS)[0]]
    found = detections(dataset, predictions)
    scores = Scores({}, {})
    for task in tasks_of(dataset, predictions):
        stats, precision = run(dataset.ground_truth, found, task)
        named = zip(NAMES["coco"][task], stats, strict=False)
        scores.summary[task] = {name: percent(value) for name, value in named}
        everything = precision[:, :, :, 0, -1]  # all sizes, most detections
        scores.per_class[task] = classes_of(everything, dataset.metadata["thing_classes"])
    return scores
