"""Scores predictions with the metric of their data set; writes and reads them in its official format.

All tasks return one shape (see `scores`), from one pass over the predictions. Scoring writes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transfer.datasets.base import Dataset
from transfer.evaluation.cityscapes.files import read_instances, write_instances
from transfer.evaluation.cityscapes.instances import evaluate_cityscapes_instances
from transfer.evaluation.cityscapes.semantic import evaluate_cityscapes_sem_seg
from transfer.evaluation.coco.files import read_coco_results, write_coco
from transfer.evaluation.coco.lvis import evaluate_lvis
from transfer.evaluation.coco.matches import coco_outcomes
from transfer.evaluation.coco.metric import evaluate_coco
from transfer.evaluation.coco.tide import coco_errors
from transfer.evaluation.densepose.files import read_densepose, write_densepose
from transfer.evaluation.per_image import Outcomes
from transfer.evaluation.prediction import Prediction
from transfer.evaluation.scores import Scores
from transfer.evaluation.sem_seg.files import read_sem_seg_files, write_sem_seg
from transfer.evaluation.sem_seg.metric import evaluate_sem_seg
from transfer.evaluation.sem_seg.overlaps import sem_seg_outcomes
from transfer.evaluation.tide import Errors
from transfer.evaluation.voc.files import read_voc_files, write_voc
from transfer.evaluation.voc.matches import voc_outcomes
from transfer.evaluation.voc.metric import evaluate_voc
from transfer.evaluation.voc.tide import voc_errors


@dataclass(frozen=True)
class _Metric:
    evaluate: Callable[[Dataset[Any], Sequence[Prediction]], Scores]
    write: Callable[[Dataset[Any], Sequence[Prediction], Path], None]
    read: Callable[[Dataset[Any], Path], list[Prediction]]
    # what it is over images; None: nothing of the kind is kept
    outcomes: Callable[[Dataset[Any], Sequence[Prediction]], Outcomes] | None = None
    # by task, the errors that a detector makes; None: they are not told apart
    errors: Callable[[Dataset[Any], Sequence[Prediction]], dict[str, Errors]] | None = None


def _densepose(dataset: Dataset[Any], predictions: Sequence[Prediction]) -> Scores:
    # Imported only now, because its module imports pycocotools to build upon it.
    from transfer.evaluation.densepose.metric import evaluate_densepose

    return evaluate_densepose(dataset, predictions)


METRICS: dict[str, _Metric] = {
    "voc": _Metric(evaluate_voc, write_voc, read_voc_files, voc_outcomes, voc_errors),
    "coco": _Metric(evaluate_coco, write_coco, read_coco_results, coco_outcomes, coco_errors),
    "densepose": _Metric(_densepose, write_densepose, read_densepose, errors=coco_errors),
    "lvis": _Metric(evaluate_lvis, write_coco, read_coco_results, errors=coco_errors),
    "cityscapes_instance": _Metric(evaluate_cityscapes_instances, write_instances, read_instances),
    "cityscapes_sem_seg": _Metric(evaluate_cityscapes_sem_seg, write_sem_seg, read_sem_seg_files),
    "voc_sem_seg": _Metric(evaluate_sem_seg, write_sem_seg, read_sem_seg_files, sem_seg_outcomes),
    "ade20k_sem_seg": _Metric(evaluate_sem_seg, write_sem_seg, read_sem_seg_files, sem_seg_outcomes),
}


def evaluate(dataset: Dataset[Any], predictions: Sequence[Prediction]) -> Scores:
    """Scores over all classes and of each class; an image without a Prediction has no detections.

    DataError for predictions that are none on this data set: unknown image, class or shape.
    """
    return METRICS[dataset.metadata["evaluator"]].evaluate(dataset, predictions)


def write_predictions(dataset: Dataset[Any], predictions: Sequence[Prediction], directory: Path) -> None:
    """Writes the official submission files of the benchmark into `directory`, none of them half-written."""
    METRICS[dataset.metadata["evaluator"]].write(dataset, predictions, Path(directory))


def read_predictions(dataset: Dataset[Any], directory: Path) -> list[Prediction]:
    """Reads what `write_predictions` wrote, or files of another tool in the same official format."""
    return METRICS[dataset.metadata["evaluator"]].read(dataset, Path(directory))


def outcomes(dataset: Dataset[Any], predictions: Sequence[Prediction]) -> Outcomes | None:
    """The outcomes of the predictions by image, for intervals; None for LVIS, Cityscapes and DensePose."""
    make = METRICS[dataset.metadata["evaluator"]].outcomes
    return make(dataset, predictions) if make else None


def errors(dataset: Dataset[Any], predictions: Sequence[Prediction]) -> dict[str, Errors]:
    """The errors of boxes and masks by task, and their costs (TIDE); none for Cityscapes and class maps."""
    make = METRICS[dataset.metadata["evaluator"]].errors
    return make(dataset, predictions) if make else {}
