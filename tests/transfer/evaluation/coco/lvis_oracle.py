"""The LVIS metric as the lvis package itself computes it: all classes and images at once, its own cap at 300
detections an image, its own summary.
"""

from __future__ import annotations

import logging
from typing import Any

from transfer.evaluation.coco.detections import detections
from transfer.evaluation.numpy1_libraries import lvis as load_lvis

PARTS = {"bbox": "bbox", "segm": "segmentation"}


def run(dataset, predictions, task: str) -> Any:
    """The library's LVISEval after its run: `.results` and `.eval["precision"]` (T, R, K, A)."""
    data, results, evaluation = load_lvis()
    found = detections(dataset, predictions)
    gt = _filled(data, _document(dataset.ground_truth))
    if len(found):
        dt = results(gt, found.results(PARTS[task]), max_dets=300)
    else:  # the library cannot take an empty list
        dt = _filled(results, {**gt.dataset, "annotations": []})
    made = evaluation(gt, dt, task)
    made.run()
    return made


def _filled(cls: Any, document: dict[str, Any]) -> Any:
    made = cls.__new__(cls)
    made.logger = logging.getLogger(__name__)
    made.dataset = document
    made._create_index()
    return made


def _document(truth) -> dict[str, Any]:
    names = ("id", "image_id", "category_id", "bbox", "area")
    annotations = [
        {name: truth.table.rows[name][n].tolist() for name in names}
        | {"segmentation": truth.table.segmentation(n)}
        for n in range(len(truth.table))
    ]
    entries = zip(truth.images.ids.tolist(), truth.images.width, truth.images.height, strict=True)
    images = [
        {"id": i, "width": int(w), "height": int(h)}
        | {key: values[k] for key, values in truth.images.extra.items()}
        for k, (i, w, h) in enumerate(entries)
    ]
    return {"images": images, "categories": truth.categories, "annotations": annotations}
