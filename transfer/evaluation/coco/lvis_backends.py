"""Runs LVIS's metric: lvis is the reference, hotcoco is fast and equal bit for bit (tests).

Each takes the truth, the detections that count with their areas, and the task ("bbox", "segm"). It returns
the precision table (T, R, K, A): 10 IoU thresholds, 101 recalls, classes in order of id, and all, small,
medium and large objects; -1 is undefined. Annotations without area do not count, as in lvis.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from transfer.datasets.coco.reader import CocoTruth
from transfer.evaluation.coco.backends import image_entries
from transfer.evaluation.coco.detections import Detections
from transfer.evaluation.numpy1_libraries import lvis as load_lvis


def _images(truth: CocoTruth) -> list[dict[str, Any]]:
    """Image entries with the classes known to be absent, and those that are not labelled completely."""
    extra = truth.images.extra
    return [
        {**entry, **{key: values[k] for key, values in extra.items()}}
        for k, entry in enumerate(image_entries(truth))
    ]


def hotcoco(truth: CocoTruth, found: Detections, area: np.ndarray, task: str) -> np.ndarray:
    import hotcoco

    table = truth.table
    some = np.flatnonzero(table.rows["area"] > 0)
    rows = table.rows[some]
    shapes = [table.segmentation(n) for n in some.tolist()] if task == "segm" else None
    gt = hotcoco.COCO.from_arrays(
        _images(truth), truth.categories, rows["image_id"], rows["category_id"], rows["bbox"],
        ids=rows["id"], area=rows["area"], segmentation=shapes,
    )  # fmt: skip
    columns = np.column_stack([found.image_id, found.boxes, found.score, found.category_id])
    masks: list[Any] | None = list(found.masks or []) if task == "segm" else None
    dt = gt.load_res(columns, segmentation=masks)
    dt.update_anns(ids=np.arange(1, len(found) + 1), area=area)
    run = hotcoco.COCOeval(gt, dt, task, lvis_style=True)
    run.evaluate()
    run.accumulate()
    return np.asarray((run.eval or {})["precision"], float)[:, :, :, :, -1]


def lvis(truth: CocoTruth, found: Detections, area: np.ndarray, task: str) -> np.ndarray:
    """Runs lvis on one class at a time, and only on the images that have something of it.

    Over all classes and images at once it keeps several lists for each pair: with 1,230 classes and 5,000
    images some ten gigabytes of empty ones. Classes are independent in this metric.
    """
    library = load_lvis()
    images = {entry["id"]: entry for entry in _images(truth)}
    rows = truth.table.rows
    some = np.flatnonzero(rows["area"] > 0)
    of_truth = _by_class(some, rows["category_id"][some])
    of_found = _by_class(np.arange(len(found)), found.category_id)
    undefined = np.full((10, 101, 1, 4), -1.0)
    tables = []
    for category in truth.categories:
        mine = of_truth.get(category["id"])
        if mine is None:
            tables.append(undefined)
            continue
        guesses = of_found.get(category["id"], np.zeros(0, np.int64))
        annotations, results = _annotations(truth, mine, task), _results(found, area, guesses, task)
        here = [images[i] for i in {a["image_id"] for a in annotations + results}]
        document = {"images": here, "categories": [category]}
        tables.append(
            _precision(
                library, document | {"annotations": annotations}, document | {"annotations": results}, task
            )
        )
    return np.concatenate(tables, axis=2)


def _by_class(rows: np.ndarray, category: np.ndarray) -> dict[int, np.ndarray]:
    order = np.argsort(category, kind="stable")
    values, first = np.unique(category[order], return_index=True)
    edges = [*first.tolist(), len(rows)]
    return {v: rows[order[a:b]] for v, a, b in zip(values.tolist(), edges[:-1], edges[1:], strict=True)}


def _annotations(truth: CocoTruth, numbers: np.ndarray, task: str) -> list[dict[str, Any]]:
    rows = truth.table.rows[numbers]
    columns: dict[str, Sequence[Any]] = {
        name: rows[name].tolist() for name in ("id", "image_id", "category_id", "bbox", "area")
    }
    if task == "segm":
        columns["segmentation"] = [truth.table.segmentation(n) for n in numbers.tolist()]
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _results(found: Detections, area: np.ndarray, rows: np.ndarray, task: str) -> list[dict[str, Any]]:
    results = found.take(rows).results("bbox" if task == "bbox" else "segmentation")
    for result, row, size in zip(results, rows.tolist(), area[rows].tolist(), strict=True):
        result.update(id=row + 1, area=size)
    return results


def _precision(library: Any, truth: dict[str, Any], guesses: dict[str, Any], task: str) -> np.ndarray:
    data, results, evaluation = library
    run = evaluation(_filled(data, truth), _filled(results, guesses), task)
    run.evaluate()
    run.accumulate()
    return np.asarray(run.eval["precision"])


def _filled(cls: Any, document: dict[str, Any]) -> Any:
    made = cls.__new__(cls)
    made.logger = logging.getLogger(__name__)
    made.dataset = document
    made._create_index()
    return made


BACKENDS: dict[str, Callable[[CocoTruth, Detections, np.ndarray, str], np.ndarray]] = {
    "hotcoco": hotcoco,
    "lvis": lvis,
}
