"""TIDE's errors and their costs a second time, slowly: a detection after another, by the paper's definitions.

Matching is that of the metric: COCO's greedy one, or VOC's, where a detection asks for the nearest box alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from tests.transfer.evaluation.voc.oracle import _iou as iou

Box = Sequence[float]


def errors(
    images: Sequence[tuple[list[dict[str, Any]], list[dict[str, Any]]]],
    average: Callable[[list[bool], int], float],
    greedy: bool,
) -> tuple[float, dict[str, float], dict[str, int]]:
    """(AP50, costs, counts) of (objects, detections) by image; both have "box" and "class".

    An object with "crowd" or "difficult" counts for nothing. average: (hits by falling score, objects) -> AP.
    """
    detections, objects = [], []
    for truth, found in images:
        found = sorted(found, key=lambda d: -d["score"])
        mine = [o for o in truth if not o.get("crowd") and not o.get("difficult")]
        for one in found:
            one["ignored"], one["object"] = False, None
            (_greedy if greedy else _nearest)(one, truth)
        for one in found:
            one["kind"], one["near"] = ("hit", None) if one["object"] else _kind(one, mine)
        detections += found
        objects += mine
    chosen: dict[int, dict[str, Any]] = {}  # object -> the detection that becomes a hit of it
    for one in sorted(detections, key=lambda d: -d["score"]):
        if one["near"] is not None and not one["near"].get("taken"):
            chosen.setdefault(id(one["near"]), one)
    missed = [o for o in objects if not o.get("taken") and id(o) not in chosen]
    lost = [o for o in objects if not o.get("taken")]
    known = {o["class"] for o in objects}

    def mean(mended: str, less: Sequence[dict[str, Any]] = ()) -> float:
        rows = []
        for one in detections:
            wrong = one["kind"] == mended or (mended == "FP" and one["kind"] != "hit")
            if not wrong and not one["ignored"]:
                rows.append((one["score"], one["class"], one["kind"] == "hit"))
            elif wrong and one["near"] is not None and chosen.get(id(one["near"])) is one and mended != "FP":
                rows.append((one["score"], one["near"]["class"], True))
        values = []
        for k in known:
            hits = [hit for _, c, hit in sorted(rows, key=lambda row: -row[0]) if c == k]
            left = sum(o["class"] == k for o in objects) - sum(o["class"] == k for o in less)
            if left:
                values.append(average(hits, left))
            elif hits:
                values.append(0.0)
        return 100 * sum(values) / len(values) if values else 0.0

    base = mean("none")
    kinds = ("Cls", "Loc", "Both", "Dupe", "Bkg", "FP")
    costs = {kind: mean(kind) - base for kind in kinds}
    costs |= {"Miss": mean("none", missed) - base, "FN": mean("none", lost) - base}
    wrong = [d for d in detections if d["kind"] != "hit" and not d["ignored"]]
    counts = {kind: sum(d["kind"] == kind for d in wrong) for kind in kinds[:-1]}
    return base, costs, counts | {"Miss": len(missed), "FP": len(wrong), "FN": len(lost)}


def _greedy(one: dict[str, Any], truth: Sequence[dict[str, Any]]) -> None:
    best = None
    for thing in truth:
        if thing["class"] == one["class"] and not thing.get("crowd") and not thing.get("taken"):
            overlap = iou(one["box"], thing["box"])
            if overlap >= 0.5 and (best is None or overlap >= iou(one["box"], best["box"])):
                best = thing
    if best is not None:
        best["taken"], one["object"] = True, best
        return
    for thing in truth:
        if thing.get("crowd") and thing["class"] == one["class"]:
            one["ignored"] |= _covered(one["box"], thing["box"]) >= 0.5


def _nearest(one: dict[str, Any], truth: Sequence[dict[str, Any]]) -> None:
    mine = [thing for thing in truth if thing["class"] == one["class"]]
    if not mine:
        return
    nearest = max(mine, key=lambda thing: iou(one["box"], thing["box"]))
    if iou(one["box"], nearest["box"]) > 0.5:
        if nearest.get("difficult"):
            one["ignored"] = True
        elif not nearest.get("taken"):
            nearest["taken"], one["object"] = True, nearest


def _kind(one: dict[str, Any], objects: Sequence[dict[str, Any]]) -> tuple[str, dict[str, Any] | None]:
    """The kind of an error, and the object that it is near: the first of those that it overlaps most."""
    own = [(iou(one["box"], o["box"]), -n, o) for n, o in enumerate(objects) if o["class"] == one["class"]]
    other = [(iou(one["box"], o["box"]), -n, o) for n, o in enumerate(objects) if o["class"] != one["class"]]
    if own and 0.1 <= max(own)[0] <= 0.5:
        return "Loc", max(own)[2]
    if other and max(other)[0] >= 0.5:
        return "Cls", max(other)[2]
    if any(overlap >= 0.5 and o.get("taken") for overlap, _, o in own):
        return "Dupe", None
    if all(overlap <= 0.1 for overlap, _, _ in own + other):
        return "Bkg", None
    return "Both", None


def _covered(box: Box, crowd: Box) -> float:
    w, h = (min(box[2 + i], crowd[2 + i]) - max(box[i], crowd[i]) for i in (0, 1))
    return max(w, 0) * max(h, 0) / max((box[2] - box[0]) * (box[3] - box[1]), 1e-9)


def coco_average(hits: Sequence[bool], objects: int) -> float:
    """The mean over recalls 0, 0.01 ... 1 of the best precision at that recall or a higher one."""
    curve, true = [], 0
    for n, hit in enumerate(hits, 1):
        true += hit
        curve.append((true / objects, true / n))
    steps = [i * 0.01 for i in range(100)] + [1.0]  # numpy's linspace, to the last bit
    return math.fsum(max((p for r, p in curve if r >= step), default=0.0) for step in steps) / 101


def area_average(hits: Sequence[bool], objects: int) -> float:
    """The area under the best precision at each recall or a higher one."""
    curve, true = [], 0
    for n, hit in enumerate(hits, 1):
        true += hit
        curve.append((true, true / n))
    return math.fsum(max(p for t, p in curve if t >= level) for level in range(1, true + 1)) / objects
