"""Runs COCO's metric: pycocotools is the reference, hotcoco is fast and equal bit for bit (tests).

faster-coco-eval is not used: on random scenes half of its statistics differ from pycocotools in the last bit.

Each takes the truth and the detections of one task ("bbox", "segm", "keypoints"). It returns COCO's summary
statistics (12, or 10 for keypoints; -1 is undefined) and the precision table (T, R, K, A, M): IoU thresholds,
recalls, classes, areas, numbers of detections.
"""

from __future__ import annotations

import contextlib
import importlib.util
import io
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from transfer.datasets.coco.reader import CocoTruth
from transfer.datasets.coco.rle import areas
from transfer.datasets.coco.table import ROW
from transfer.evaluation.coco.detections import Detections

Statistics = tuple[np.ndarray, np.ndarray]
PARTS = {"bbox": ("bbox",), "segm": ("segmentation",), "keypoints": ("bbox", "keypoints")}


def truth_document(truth: CocoTruth, task: str) -> dict[str, Any]:
    """The ground truth as a COCO document with what the task needs."""
    table, rows = truth.table, truth.table.rows
    columns: dict[str, Sequence[Any]] = {name: rows[name].tolist() for name in ROW.names or ()}
    if task == "segm":
        columns["segmentation"] = [table.segmentation(n) for n in range(len(table))]
    if task == "keypoints":
        assert table.keypoints is not None
        assert table.num_keypoints is not None
        columns["keypoints"] = table.keypoints.tolist()
        columns["num_keypoints"] = table.num_keypoints.tolist()
    return {
        "images": image_entries(truth),
        "categories": truth.categories,
        "annotations": [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)],
    }


def image_entries(truth: CocoTruth) -> list[dict[str, Any]]:
    """The `images` of a COCO document."""
    i = truth.images
    columns = (i.ids.tolist(), i.width.tolist(), i.height.tolist(), i.names)
    return [{"id": a, "width": w, "height": h, "file_name": n} for a, w, h, n in zip(*columns, strict=True)]


def indexed(document: dict[str, Any], results: list[dict[str, Any]]) -> tuple[Any, Any]:
    """pycocotools' COCO objects of a document and of results on it, of which there may be none."""
    from pycocotools.coco import COCO

    gt = COCO()
    gt.dataset = document
    gt.createIndex()
    if results:
        return gt, gt.loadRes(results)
    dt = COCO()  # loadRes cannot take an empty list
    dt.dataset = {**document, "annotations": []}
    dt.createIndex()
    return gt, dt


def pycocotools(truth: CocoTruth, found: Detections, task: str) -> Statistics:
    from pycocotools.cocoeval import COCOeval

    with contextlib.redirect_stdout(io.StringIO()):
        run = COCOeval(*indexed(truth_document(truth, task), found.results(*PARTS[task])), task)
        run.evaluate()
        run.accumulate()
        run.summarize()
    return np.asarray(run.stats, float), np.asarray(run.eval["precision"], float)


def hotcoco(truth: CocoTruth, found: Detections, task: str) -> Statistics:
    import hotcoco

    if task == "keypoints":
        gt = hotcoco.COCO(truth_document(truth, task))
        dt = gt.load_res(found.results("bbox", "keypoints"))
    else:
        rows, table = truth.table.rows, truth.table
        shapes = [table.segmentation(n) for n in range(len(table))] if task == "segm" else None
        gt = hotcoco.COCO.from_arrays(
            image_entries(truth), truth.categories, rows["image_id"], rows["category_id"], rows["bbox"],
            ids=rows["id"], area=rows["area"], iscrowd=rows["iscrowd"], segmentation=shapes,
        )  # fmt: skip
        columns = np.column_stack([found.image_id, found.boxes, found.score, found.category_id])
        masks: list[Any] | None = list(found.masks or []) if task == "segm" else None
        dt = gt.load_res(columns, segmentation=masks)
        if task == "segm":  # a mask counts as large as it is, not as its box is
            dt.update_anns(ids=np.arange(1, len(found) + 1), area=areas(masks or []))
    run = hotcoco.COCOeval(gt, dt, task)
    run.evaluate()
    run.accumulate()
    with contextlib.redirect_stdout(io.StringIO()):
        run.summarize()
    table = (run.eval or {})["precision"]
    return np.asarray(run.stats, float), np.asarray(table, float)


BACKENDS: dict[str, Callable[[CocoTruth, Detections, str], Statistics]] = {
    "hotcoco": hotcoco,
    "pycocotools": pycocotools,
}


def available(backends: Iterable[str]) -> list[str]:
    """The backends that are installed, in their order: the fastest first."""
    return [name for name in backends if importlib.util.find_spec(name)]
