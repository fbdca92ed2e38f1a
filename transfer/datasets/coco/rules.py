"""Judges the annotations of a COCO-like file by its rules, on whole columns at once.

Some rules bend: the published files hold a few boxes of zero width, polygons of two points and boxes a little
outside, and the 2014 minival files some boxes of other images. In up to STRAY of all annotations such a thing
is odd, kept and counted. In more it is an error: no slip, but a wrong format.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from transfer.datasets.coco.images import LARGEST, Images
from transfer.datasets.coco.rle import run_lengths
from transfer.datasets.coco.table import Annotations
from transfer.datasets.findings import Findings

STRAY = 1e-3
DISAGREE = 0.05  # LVIS v0.5 has whole images whose boxes are not those of the polygons


@dataclass
class _Judge:
    table: Annotations
    file: str
    findings: Findings
    sloppy: bool

    def report(
        self,
        rule: str,
        mask: np.ndarray,
        field: str,
        value: Callable[[int], Any],
        says: str,
        bends: float = 0.0,
    ) -> None:
        """Reports the annotations where mask (N,) holds; value(n) is what to show of annotation n."""
        hits = np.flatnonzero(mask)
        if not len(hits):
            return
        odd = bends > 0 and (self.sloppy or len(hits) <= bends * len(self.table))
        add = self.findings.oddity if odd else self.findings.error
        for n in hits[: self.findings.keep].tolist():
            row = self.table.rows[n]
            record = f"annotation id {row['id']} (image {row['image_id']})"
            add(rule, self.file, record, field, value(n), says)
        counts = self.findings.odd if odd else self.findings.errors
        counts[rule] += max(0, len(hits) - self.findings.keep)


def check_table(
    table: Annotations,
    images: Images,
    category_ids: list[int],
    file: str,
    findings: Findings,
    masks: bool = True,
) -> np.ndarray:
    """Judges all annotations; returns (N,) bool, those fit for training. Without `masks` a box is enough."""
    rows, judge = table.rows, _Judge(table, file, findings, images.sloppy)

    def field(name: str) -> Callable[[int], Any]:
        return lambda n: rows[name][n].tolist()

    zero = "must be 1 or more: the COCO metric takes a match with id 0 for a miss"
    judge.report("id-zero", rows["id"] < 1, "id", field("id"), zero)
    twice = "used by another annotation too"
    bends = STRAY if images.sloppy else 0.0
    judge.report("duplicate-id", _repeated(rows["id"]), "id", field("id"), twice, bends)
    known = np.isin(rows["image_id"], images.ids)
    judge.report("unknown-image", ~known, "image_id", field("image_id"), "no image with this id in the file")
    listed = np.isin(rows["category_id"], category_ids)
    says = "no category with this id in the file"
    judge.report("unknown-category", ~listed, "category_id", field("category_id"), says)
    judge.report("bad-flag", (rows["iscrowd"] | 1) != 1, "iscrowd", field("iscrowd"), "must be 0 or 1")
    size = images.sizes(rows["image_id"], known)
    good = known & listed & _check_boxes(judge, size, known)
    if masks:
        good &= _check_shapes(judge, size, known)
    if table.keypoints is not None:
        _check_keypoints(judge, size, known)
    return good


def _check_boxes(judge: _Judge, size: np.ndarray, known: np.ndarray) -> np.ndarray:
    rows = judge.table.rows
    box, area = rows["bbox"], rows["area"]

    def show(n: int) -> Any:
        return box[n].tolist()

    finite = np.isfinite(box).all(1)
    judge.report("not-a-number", ~finite, "bbox", show, "must be finite numbers")
    with np.errstate(invalid="ignore", over="ignore"):
        huge = finite & (np.abs(box) > LARGEST).any(1)
        judge.report("huge-number", huge, "bbox", show, "no image is that large")
        finite = finite & ~huge
        negative, says = finite & (box[:, 2:] < 0).any(1), "width and height must not be negative"
        judge.report("negative-box", negative, "bbox", show, says)
        empty = finite & (box[:, 2:] == 0).any(1)
        judge.report(
            "empty-box", empty, "bbox", show, "width or height is zero; left out of training", bends=STRAY
        )
        over = np.maximum(-box[:, :2], box[:, :2] + box[:, 2:] - size).max(1)
        outside = finite & known & (over > 1)
        # Corners written as sizes still look like a box, only one that ends far outside.
        corners = outside & (box[:, :2] >= 0).all(1) & (box[:, 2:] <= size).all(1)
        corners &= (box[:, 2:] > box[:, :2]).all(1)
        says = "ends outside the image; expected [x, y, width, height]"
        judge.report("box-outside", outside & ~corners, "bbox", show, says, bends=STRAY)
        says += ", is it [x0, y0, x1, y1]?"
        judge.report("box-as-corners", corners, "bbox", show, says, bends=STRAY)

        def show_area(n: int) -> Any:
            return float(area[n])

        judge.report("not-a-number", ~np.isfinite(area), "area", show_area, "must be a finite number")
        judge.report("bad-area", area < 0, "area", show_area, "must not be negative")
        more = finite & (area > box[:, 2] * box[:, 3] * 1.02 + 4) & (box[:, 2:] >= 0).all(1)
        judge.report("area-exceeds-box", more, "area", show_area, "is more than the box holds", bends=STRAY)
    return finite & ~empty


def _check_shapes(judge: _Judge, size: np.ndarray, known: np.ndarray) -> np.ndarray:
    table = judge.table
    count = np.diff(table.first_poly)
    is_rle = np.zeros(len(table), bool)
    is_rle[list(table.rle)] = True
    _check_rles(judge, size, known)
    bare = (count == 0) & ~is_rle

    def show(n: int) -> Any:
        return table.segmentation(n)

    judge.report("no-segmentation", bare, "segmentation", show, "is empty; left out of training", bends=STRAY)
    length = np.diff(table.poly_start)
    owner = np.repeat(np.arange(len(table)), count)
    odd, short = _owners(owner, length % 2 == 1, len(table)), _owners(owner, length < 6, len(table))
    judge.report("odd-polygon", odd, "segmentation", show, "holds an odd number of coordinates", bends=STRAY)
    says = "a polygon of fewer than three points; left out of training"
    judge.report("short-polygon", short & ~odd, "segmentation", show, says, bends=STRAY)
    finite = np.isfinite(table.coords)
    huge = finite & ((table.coords > LARGEST) | (table.coords < -LARGEST))

    def holding(mask: np.ndarray) -> np.ndarray:
        # The owner of each coordinate takes 8 bytes, so it is found only in a file that is not sound.
        return (
            _owners(np.repeat(owner, length), mask, len(table)) if mask.any() else np.zeros(len(table), bool)
        )

    broken, far = holding(~finite), holding(huge)
    judge.report("not-a-number", broken, "segmentation", show, "must be finite numbers")
    judge.report("huge-number", far, "segmentation", show, "no image is that large")
    if not odd.any() and len(length) and length.min() > 0:
        _check_bounds(judge, size, known, owner, ~broken & ~far)
    long_enough = _owners(owner, length >= 6, len(table))
    return (long_enough | is_rle) & ~odd


def _check_bounds(
    judge: _Judge, size: np.ndarray, known: np.ndarray, owner: np.ndarray, sound: np.ndarray
) -> None:
    """Compares polygons with the image and with their box, where their numbers are `sound`."""
    table, show = judge.table, judge.table.segmentation
    first = np.flatnonzero(np.r_[True, owner[1:] != owner[:-1]])  # polygon with which an annotation begins
    have = owner[first]
    bounds = []
    for axis in (0, 1):
        values, starts = table.coords[axis::2], table.poly_start[:-1] // 2
        bounds.append(np.minimum.reduceat(np.minimum.reduceat(values, starts), first))
        bounds.append(np.maximum.reduceat(np.maximum.reduceat(values, starts), first))
    low, high = np.stack(bounds[0::2], 1), np.stack(bounds[1::2], 1)
    outside = np.zeros(len(table), bool)
    with np.errstate(invalid="ignore", over="ignore"):
        outside[have] = (np.maximum(-low, high - size[have]) > 2).any(1)
        outside &= known & sound
        says = "reaches outside the image"
        judge.report("polygon-outside", outside, "segmentation", show, says, bends=STRAY)
        box = table.rows["bbox"][have]
        inter = np.minimum(high, box[:, :2] + box[:, 2:]) - np.maximum(low, box[:, :2])
        inter = np.maximum(inter, 0).prod(1)
        union = (high - low).prod(1) + box[:, 2:].prod(1) - inter
        apart = np.zeros(len(table), bool)
        apart[have] = (inter < 0.5 * union) & (box[:, 2:] > 4).all(1)
    judge.report("box-not-of-polygon", apart & sound, "bbox", lambda n: table.rows["bbox"][n].tolist(),
              "overlaps the bounds of its polygons by less than one half", bends=DISAGREE)  # fmt: skip


def _check_rles(judge: _Judge, size: np.ndarray, known: np.ndarray) -> None:
    table = judge.table
    wrong, broken = np.zeros(len(table), bool), np.zeros(len(table), bool)
    for n, rle in table.rle.items():
        wrong[n] = known[n] and tuple(rle["size"]) != (size[n, 1], size[n, 0])
        if isinstance(rle["counts"], str):
            broken[n] = run_lengths(rle["counts"], rle["size"][0] * rle["size"][1]) is None
    judge.report("rle-size", wrong, "segmentation/size", lambda n: table.rle[n]["size"],
              "is not the [height, width] of the image")  # fmt: skip
    judge.report("bad-rle", broken, "segmentation/counts", lambda n: table.rle[n]["counts"],
              "does not decode to a mask of its size")  # fmt: skip


def _check_keypoints(judge: _Judge, size: np.ndarray, known: np.ndarray) -> None:
    assert judge.table.keypoints is not None
    assert judge.table.num_keypoints is not None
    points = judge.table.keypoints.reshape(len(judge.table), judge.table.keypoints.shape[1] // 3, 3)
    stated = judge.table.num_keypoints

    def show(n: int) -> Any:
        return points[n].ravel().tolist()

    finite = np.isfinite(points).all((1, 2))
    judge.report("not-a-number", ~finite, "keypoints", show, "must be finite numbers")
    huge = finite & (np.abs(points) > LARGEST).any((1, 2))
    judge.report("huge-number", huge, "keypoints", show, "no image is that large")
    seen = points[:, :, 2]
    strange = ~np.isin(seen, (0, 1, 2)).all(1) & finite
    judge.report("bad-visibility", strange, "keypoints", show, "visibility must be 0, 1 or 2")
    labelled = seen > 0
    differs = labelled.sum(1) != stated
    judge.report(
        "keypoint-count",
        differs,
        "num_keypoints",
        lambda n: int(stated[n]),
        "is not the number with visibility > 0",
    )
    over = np.maximum(-points[:, :, :2], points[:, :, :2] - size[:, None]).max(2)
    outside = ((over > 1) & labelled).any(1) & known & finite
    judge.report(
        "keypoint-outside", outside, "keypoints", show, "a labelled point is outside the image", bends=STRAY
    )


def _owners(owner: np.ndarray, mask: np.ndarray, n: int) -> np.ndarray:
    out = np.zeros(n, bool)
    out[owner[mask]] = True
    return out


def _repeated(values: np.ndarray) -> np.ndarray:
    unique, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    return counts[inverse] > 1
