"""Computes Cityscapes' class and category IoU, plain and weighted by instance.

Pixels are counted here; the formulas are those of cityscapesscripts, which itself needs a file for each
prediction. Its functions get arguments of our own, so that they neither use its global state nor write files
into the working directory.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np

from transfer.datasets.base import Dataset
from transfer.datasets.cityscapes.frame import Frame, instance_map
from transfer.datasets.cityscapes.labels import LABEL_ID_OF, NAMES, SEMANTIC
from transfer.datasets.cityscapes.polygons import draw_polygons
from transfer.errors import DataError
from transfer.evaluation.numpy1_libraries import cityscapes as load_script
from transfer.evaluation.prediction import Prediction
from transfer.evaluation.scores import Scores
from transfer.evaluation.sem_seg.metric import by_image, class_map, scores_of

_LABELS = len(NAMES)


def evaluate_cityscapes_sem_seg(dataset: Dataset[list[Frame]], predictions: Sequence[Prediction]) -> Scores:
    """{"sem_seg": {"mIoU", "iIoU", "IoU_sup", "iIoU_sup"}}, by class {"IoU", "ACC"}.

    iIoU weights pixels by the size of their instance; _sup is of categories.
    """
    script = load_script("evalPixelLevelSemanticLabeling")
    args = copy.copy(script.args)
    table = script.generateMatrix(args)
    stats = script.generateInstanceStats(args)
    by_id = by_image(dataset, predictions)
    for frame in dataset.ground_truth:
        truth, instances = _label_ids(frame), _instance_ids(frame)
        guess = LABEL_ID_OF[class_map(by_id[frame.image_id], truth.shape, len(SEMANTIC))]
        pairs = np.bincount((truth * _LABELS + guess).ravel(), minlength=_LABELS**2)
        table += pairs.reshape(_LABELS, _LABELS).astype(table.dtype)
        _add_instances(script, args, stats, instances, guess)
    labels, categories = args.evalLabels, script.category2labels
    name_of = script.id2label
    scores = {
        "mIoU": {name_of[k].name: script.getIouScoreForLabel(k, table, args) for k in labels},
        "iIoU": {name_of[k].name: script.getInstanceIouScoreForLabel(k, table, stats, args) for k in labels},
        "IoU_sup": {k: script.getIouScoreForCategory(k, table, args) for k in categories},
        "iIoU_sup": {k: script.getInstanceIouScoreForCategory(k, table, stats, args) for k in categories},
    }
    summary = {name: 100.0 * float(script.getScoreAverage(of, args)) for name, of in scores.items()}
    _, by_class = scores_of(table[np.ix_(LABEL_ID_OF, LABEL_ID_OF)].astype(np.int64))
    per_class = {k: dict(zip(SEMANTIC, map(float, v), strict=True)) for k, v in by_class.items()}
    return Scores({"sem_seg": summary}, {"sem_seg": per_class})


def _add_instances(script: Any, args: Any, stats: Any, instances: np.ndarray, guess: np.ndarray) -> None:
    """Adds the hits and misses of each instance to its class and category, weighted by its class's mean size.

    In the script's order, as sums of floats depend on it.
    """
    on = instances > 1000
    values, numbers = np.unique(instances[on], return_inverse=True)
    pairs = np.bincount(numbers * _LABELS + guess[on], minlength=len(values) * _LABELS)
    for value, counts in zip(values.tolist(), pairs.reshape(-1, _LABELS), strict=True):
        label = script.id2label[value // 1000]
        if label.ignoreInEval:
            continue
        size = int(counts.sum())
        weight = args.avgClassSize[label.name] / float(size)
        entries = [(stats["classes"][label.name], [label.id])]
        if label.category in stats["categories"]:
            entry = stats["categories"][label.category]
            entries.append((entry, entry["labelIds"]))
        for entry, ids in entries:
            hits = int(counts[ids].sum())
            entry["tp"] += hits
            entry["fn"] += size - hits
            entry["tpWeighted"] += float(hits) * weight
            entry["fnWeighted"] += float(size - hits) * weight


def _label_ids(frame: Frame) -> np.ndarray:
    """(H, W) int64 label ids: the published map, or one drawn from the polygons."""
    from PIL import Image

    if not frame.label_ids:
        return draw_polygons(frame.polygons, numbered=False).astype(np.int64)
    try:
        with Image.open(frame.label_ids) as image:
            ids = np.array(image).astype(np.int64)
    except (OSError, SyntaxError, ValueError) as e:
        raise DataError(f"{frame.label_ids}: cannot be read as a mask ({e})") from None
    if ids.ndim != 2 or ids.max(initial=0) >= _LABELS:
        raise DataError(
            f"{frame.label_ids}: label id {ids.max(initial=0)}, shape {ids.shape}; expected one channel of "
            f"0..{_LABELS - 1}, are these train ids?"
        )
    return ids


def _instance_ids(frame: Frame) -> np.ndarray:
    if not frame.instance_ids and not frame.polygons:
        raise DataError(
            f"{frame.label_ids}: the instance IoU needs instanceIds.png or polygons.json beside it"
        )
    ids = instance_map(frame)
    if ids.max(initial=0) >= 1000 * _LABELS:
        raise DataError(f"{frame.instance_ids}: id {ids.max()}; expected less than {1000 * _LABELS}")
    return ids
