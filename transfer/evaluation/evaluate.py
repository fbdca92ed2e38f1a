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
from transfer.evaluation.prediction import Prediction
from transfer.evaluation.voc import evaluate_voc, evaluate_voc_per_class
from transfer.evaluation.voc_files import read_voc_files, write_voc


@dataclass(frozen=True)
class _Metric:
    evaluate: Callable[[Dataset, Sequence[Prediction]], dict[str, dict[str, float]]]
    per_class: Callable[[Dataset, Sequence[Prediction]], dict[str, dict[str, dict[str, float]]]]
    write: Callable[[Dataset, Sequence[Prediction], Path], None]
    read: Callable[[Dataset, Path], list[Prediction]]


METRICS: dict[str, _Metric] = {
    "voc": _Metric(evaluate_voc, evaluate_voc_per_class, write_voc, read_voc_files),
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
