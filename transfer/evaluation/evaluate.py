"""Scores predictions with the metric of their data set; writes and reads them in its official format.

One return shape for all tasks: {"bbox": {"AP": 12.3, "AP50": ...}, "segm": {...}}, percent in [0, 100];
undefined is NaN, never -1 or 0 in disguise. Nothing is written by scoring.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transfer.datasets.base import Dataset
from transfer.evaluation import cityscapes as city
from transfer.evaluation import cityscapes_files as city_files
from transfer.evaluation.coco import evaluate_coco, evaluate_coco_per_class
from transfer.evaluation.coco_files import read_coco_results, write_coco
from transfer.evaluation.densepose_files import read_densepose, write_densepose
from transfer.evaluation.lvis import evaluate_lvis, evaluate_lvis_per_class
from transfer.evaluation.prediction import Prediction
from transfer.evaluation.sem_seg import evaluate_sem_seg, evaluate_sem_seg_per_class
from transfer.evaluation.sem_seg_files import read_sem_seg_files, write_sem_seg
from transfer.evaluation.voc import evaluate_voc, evaluate_voc_per_class
from transfer.evaluation.voc_files import read_voc_files, write_voc


@dataclass(frozen=True)
class _Metric:
    evaluate: Callable[[Dataset, Sequence[Prediction]], dict[str, dict[str, float]]]
    per_class: Callable[[Dataset, Sequence[Prediction]], dict[str, dict[str, dict[str, float]]]]
    write: Callable[[Dataset, Sequence[Prediction], Path], None]
    read: Callable[[Dataset, Path], list[Prediction]]


def _densepose(dataset: Dataset, predictions: Sequence[Prediction]) -> dict[str, dict[str, float]]:
    from transfer.evaluation.densepose import evaluate_densepose  # imports pycocotools to build upon it

    return evaluate_densepose(dataset, predictions)


def _densepose_per_class(dataset: Dataset, predictions: Sequence[Prediction]) -> dict[str, Any]:
    from transfer.evaluation.densepose import evaluate_densepose_per_class

    return evaluate_densepose_per_class(dataset, predictions)


METRICS: dict[str, _Metric] = {
    "voc": _Metric(evaluate_voc, evaluate_voc_per_class, write_voc, read_voc_files),
    "coco": _Metric(evaluate_coco, evaluate_coco_per_class, write_coco, read_coco_results),
    "densepose": _Metric(_densepose, _densepose_per_class, write_densepose, read_densepose),
    "lvis": _Metric(evaluate_lvis, evaluate_lvis_per_class, write_coco, read_coco_results),
    "cityscapes_instance": _Metric(
        city.evaluate_cityscapes_instances,
        city.evaluate_cityscapes_instances_per_class,
        city_files.write_instances,
        city_files.read_instances,
    ),
    "cityscapes_sem_seg": _Metric(
        city.evaluate_cityscapes_sem_seg,
        city.evaluate_cityscapes_sem_seg_per_class,
        write_sem_seg,
        read_sem_seg_files,
    ),
    "voc_sem_seg": _Metric(evaluate_sem_seg, evaluate_sem_seg_per_class, write_sem_seg, read_sem_seg_files),
}


def evaluate(dataset: Dataset, predictions: Sequence[Prediction]) -> dict[str, dict[str, float]]:
    """Task -> metric -> percent. Images without a Prediction count as images without detections."""
    return METRICS[dataset.metadata["evaluator"]].evaluate(dataset, predictions)


def evaluate_per_class(dataset: Dataset, predictions: Sequence[Prediction]) -> dict[str, Any]:
    """Task -> metric -> class -> percent; NaN for classes without ground truth."""
    return METRICS[dataset.metadata["evaluator"]].per_class(dataset, predictions)


def write_predictions(dataset: Dataset, predictions: Sequence[Prediction], directory: Path) -> None:
    """Writes the official submission files of the data set's benchmark into `directory`, atomically."""
    METRICS[dataset.metadata["evaluator"]].write(dataset, predictions, Path(directory))


def read_predictions(dataset: Dataset, directory: Path) -> list[Prediction]:
    """Reads what `write_predictions` wrote, or files of another tool in the same official format."""
    return METRICS[dataset.metadata["evaluator"]].read(dataset, Path(directory))
