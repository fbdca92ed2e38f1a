"""Judges detections on VOC as its metric does at an overlap of 0.5, for TIDE's errors."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from transfer.datasets.base import Dataset
from transfer.evaluation.pairs import Boxes, box_pairs
from transfer.evaluation.prediction import Prediction
from transfer.evaluation.tide import BACKGROUND, ENOUGH, Errors, Judged, find_errors
from transfer.evaluation.voc.metric import average, judge, match


def voc_errors(dataset: Dataset[None], predictions: Sequence[Prediction]) -> dict[str, Errors]:
    """{"bbox": errors}; a detection whose nearest box is difficult does not count, as in the metric."""
    names = dataset.metadata["thing_classes"]
    eleven = dataset.metadata["year"] == 2007
    matches = match(dataset, predictions, len(names))
    judged = [judge(m, ENOUGH) for m in matches]
    image, score, gt, box = (
        np.concatenate([getattr(m, name) for m in matches]) for name in ("image", "score", "gt", "box")
    )
    hit, ignored = (np.concatenate([pair[part] for pair in judged]) for part in (0, 1))
    truth = [(i, a) for i, record in enumerate(dataset.records) for a in record["annotations"]]
    counts = np.array([not a["difficult"] for _, a in truth], bool)
    place = np.cumsum(counts) - 1  # of a box among those that count
    objects = [one for one, counted in zip(truth, counts, strict=True) if counted]
    order = np.lexsort((-score, image))
    gt, hit = gt[order], hit[order]
    pairs = box_pairs(
        _boxes(box[order], image[order]),
        _boxes(np.array([a["bbox"] for _, a in objects]), np.array([i for i, _ in objects])),
        BACKGROUND,
    )
    own = np.full(len(hit), -1)
    own[hit] = place[gt[hit]]
    found = Judged(
        np.repeat(np.arange(len(names)), [len(m.iou) for m in matches])[order],
        score[order],
        own,
        ignored[order],
        np.array([a["category_id"] for _, a in objects], np.int64),
        pairs,
        lambda hits, positives: average(hits, positives, eleven),
    )
    return {"bbox": find_errors(found, names)}


def _boxes(corners: np.ndarray, image: np.ndarray) -> Boxes:
    corners = corners.reshape(-1, 4).astype(float)
    return Boxes(corners, (corners[:, 2:] - corners[:, :2]).prod(axis=1), image.astype(np.int64))
