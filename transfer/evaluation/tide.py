"""Tells which errors a detector makes and what each kind costs, as TIDE does (Bolya et al., ECCV 2020).

An error is told by overlaps (IoU) with the objects of the image: 0.5 is enough, below 0.1 is background.

    Cls    enough with an object of another class     Loc    between, with an object of its class
    Both   between, with an object of another class   Dupe   enough with an object that is found already
    Bkg    background                                 Miss   an object that neither Cls nor Loc is near

The cost of a kind (dAP) is AP50 with this kind alone mended, less AP50. To mend Cls or Loc, the best error on
each object that is not found becomes a hit; the other errors of the kind go. Missed objects no longer count.
FP takes all false detections away, FN all objects that are not found. The order of the questions, and what is
mended by whom, are tidecv's. Matches and AP50 are those of the data set's metric, and so of the record.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from boltons.fileutils import atomic_save

from transfer.evaluation.pairs import Pairs
from transfer.evaluation.scores import json_ready

FILE, FORM = "tide.json", 1
ENOUGH, BACKGROUND = 0.5, 0.1
DETECTION_ERRORS = ("Cls", "Loc", "Both", "Dupe", "Bkg")
KINDS = (*DETECTION_ERRORS, "Miss")
_CLS, _LOC, _BOTH, _DUPE, _BKG = range(len(DETECTION_ERRORS))


@dataclass(frozen=True)
class Judged:
    """The detections of one task as the metric judges them at an overlap of 0.5, image after image.

    of_class, score: (D,), in an image by falling score. match: (D,), the object that each finds, or -1.
    ignored: (D,) bool, those that count neither way; as in tidecv, one near an object may still mend it.
    objects: (G,), the classes of the objects that count.
    pairs: each detection with each object of its image, where their IoU is at least BACKGROUND.
    average: (hits by falling score, objects) -> AP in [0, 1], of a class with objects.
    """

    of_class: np.ndarray
    score: np.ndarray
    match: np.ndarray
    ignored: np.ndarray
    objects: np.ndarray
    pairs: Pairs
    average: Callable[[np.ndarray, int], float]


@dataclass(frozen=True)
class Errors:
    """AP50 in percent, the cost of each kind in points, how many there are, and AP50 and costs by class.

    cost and count have KINDS, FP and FN. NaN, and no class, where there is no object.
    """

    ap50: float
    cost: Mapping[str, float]
    count: Mapping[str, int]
    per_class: Mapping[str, Mapping[str, float]]


def find_errors(judged: Judged, classes: Sequence[str]) -> Errors:
    """Finds the errors of the detections and what they cost; `classes`: the names of the K classes.

    Classes without objects are in no mean, as in COCO. After mending, a class that has neither objects nor
    detections left is in none either; one with detections alone stays with its 0. Both as in tidecv.
    """
    kind, target = _kinds(judged)
    found = np.zeros(len(judged.objects), bool)
    found[judged.match[judged.match >= 0]] = True
    mends = _mending(kind, target, judged.score, found)
    near = np.zeros(len(found), bool)
    near[target[mends]] = True
    missed = ~found & ~near
    false = (kind >= 0) & ~judged.ignored
    number = len(classes)
    objects = np.bincount(judged.objects, minlength=number)
    by_score = np.argsort(-judged.score, kind="stable")

    def averages(wrong: np.ndarray, mended: np.ndarray, left: np.ndarray) -> np.ndarray:
        """(K,) AP with `wrong` detections taken away and `mended` ones hits; NaN: in no mean."""
        hit, counted = judged.match >= 0, ~judged.ignored & ~wrong
        of_class = judged.of_class.copy()
        of_class[mended] = judged.objects[target[mended]]
        rows = by_score[(counted | mended)[by_score]]
        values = _by_class(of_class[rows], (hit | mended)[rows], left, judged.average)
        return np.where(objects > 0, values, math.nan)

    none = np.zeros(len(kind), bool)
    whole = averages(none, none, objects)
    mended = {name: averages(kind == k, mends & (kind == k), objects) for k, name in enumerate(KINDS[:-1])}
    mended["Miss"] = averages(none, none, objects - np.bincount(judged.objects[missed], minlength=number))
    mended["FP"] = averages(kind >= 0, none, objects)
    mended["FN"] = averages(none, none, np.bincount(judged.objects[found], minlength=number))
    count = {name: int((false & (kind == k)).sum()) for k, name in enumerate(DETECTION_ERRORS)}
    count |= {"Miss": int(missed.sum()), "FP": int(false.sum()), "FN": int((~found).sum())}
    base = _mean(whole, 0.0)
    if not objects.any():
        return Errors(math.nan, dict.fromkeys(mended, math.nan), count, {})
    some = np.flatnonzero(objects).tolist()
    empty = base if (~judged.ignored).any() else math.nan  # tidecv's, but for a row that finds nothing
    # a class that nothing is left of would be found whole
    per_class = {
        "AP50": whole,
        **{name: np.nan_to_num(after, nan=1.0) - whole for name, after in mended.items()},
    }
    return Errors(
        100 * base,
        {name: 100 * max(_mean(after, empty) - base, 0.0) for name, after in mended.items()},
        count,
        {name: {classes[k]: 100 * float(values[k]) for k in some} for name, values in per_class.items()},
    )


def _kinds(judged: Judged) -> tuple[np.ndarray, np.ndarray]:
    """(D,) the place in DETECTION_ERRORS, -1 for a hit; (D,) the object of a Cls or Loc, else -1.

    The first question that is answered by yes decides, in tidecv's order: Loc, Cls, Dupe, Bkg, else Both.
    """
    number, (row, column, overlap) = len(judged.score), judged.pairs
    same = judged.of_class[row] == judged.objects[column]
    own, own_object = _greatest(number, row[same], column[same], overlap[same])
    other, other_object = _greatest(number, row[~same], column[~same], overlap[~same])
    taken = np.zeros(len(judged.objects), bool)
    taken[judged.match[judged.match >= 0]] = True
    double = np.zeros(number, bool)
    double[row[same & (overlap >= ENOUGH) & taken[column]]] = True
    questions = [
        judged.match >= 0,
        (own >= BACKGROUND) & (own <= ENOUGH),
        other >= ENOUGH,
        double,
        np.maximum(own, other) <= BACKGROUND,
    ]
    kind = np.select(questions, [-1, _LOC, _CLS, _DUPE, _BKG], _BOTH)
    return kind, np.select([kind == _LOC, kind == _CLS], [own_object, other_object], -1)


def _greatest(
    number: int, row: np.ndarray, column: np.ndarray, overlap: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """(number,) the greatest overlap of each row and the first column that has it; 0 and -1 without any."""
    best, index = np.zeros(number), np.full(number, -1)
    order = np.lexsort((column, -overlap, row))
    rows, first = np.unique(row[order], return_index=True)
    best[rows], index[rows] = overlap[order[first]], column[order[first]]
    return best, index


def _mending(kind: np.ndarray, target: np.ndarray, score: np.ndarray, found: np.ndarray) -> np.ndarray:
    """(D,) bool: of the Cls and Loc errors on each object that is not found the one of the highest score."""
    near = np.flatnonzero(target >= 0)
    near = near[~found[target[near]]]
    near = near[np.argsort(-score[near], kind="stable")]
    _, first = np.unique(target[near], return_index=True)
    mends = np.zeros(len(kind), bool)
    mends[near[first]] = True
    return mends


def _by_class(
    of_class: np.ndarray, hit: np.ndarray, left: np.ndarray, average: Callable[[np.ndarray, int], float]
) -> np.ndarray:
    """(K,) AP of detections by falling score, with `left` objects of each class; NaN where nothing is."""
    rows = np.argsort(of_class.astype(np.min_scalar_type(len(left))), kind="stable")  # a small type is faster
    edges = np.searchsorted(of_class[rows], np.arange(len(left) + 1))
    out = np.full(len(left), math.nan)
    for k, number in enumerate(left.tolist()):
        hits = hit[rows[edges[k] : edges[k + 1]]]
        if number:
            out[k] = average(hits, number)
        elif len(hits):
            out[k] = 0.0
    return out


def _mean(values: np.ndarray, empty: float) -> float:
    """The mean of the values that are defined; `empty` where none is."""
    defined = values[~np.isnan(values)]
    return math.fsum(defined) / len(defined) if len(defined) else empty


def save_errors(found: Mapping[str, Errors], path: Path) -> None:
    """Writes {"form": 1, "tasks": {"bbox": {"AP50", "dAP", "count", "per_class"}}}, whole or not at all."""
    tasks: dict[str, Any] = {
        task: {"AP50": e.ap50, "dAP": dict(e.cost), "count": dict(e.count), "per_class": dict(e.per_class)}
        for task, e in found.items()
    }
    with atomic_save(str(path), text_mode=True, overwrite_part=True) as file:
        json.dump(json_ready({"form": FORM, "tasks": tasks}), file, indent=1, allow_nan=False)
