"""Finds the pairs of a detection and an object of one image that overlap, by boxes or by masks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

MOST = 2_000_000  # pairs at a time: 300 detections on each of LVIS's 20,000 images make 75 millions


class Pairs(NamedTuple):
    """(P,) each: the number of the detection, that of the object, and their overlap in [0, 1]."""

    row: np.ndarray
    column: np.ndarray
    overlap: np.ndarray


class Boxes(NamedTuple):
    """N boxes: (N, 4) corners x0, y0, x1, y1, (N,) areas, and the (N,) places of their images, rising."""

    corners: np.ndarray
    area: np.ndarray
    image: np.ndarray


def box_pairs(found: Boxes, objects: Boxes, least: float, share: bool = False) -> Pairs:
    """The pairs of at least that overlap, which is their IoU; with `share` that part of the detection."""
    parts = []
    for row, column in _together(found.image, objects.image):
        a, b = found.corners[row], objects.corners[column]
        size = np.maximum(np.minimum(a[:, 2:], b[:, 2:]) - np.maximum(a[:, :2], b[:, :2]), 0.0)
        both = size[:, 0] * size[:, 1]
        whole = found.area[row] if share else found.area[row] + objects.area[column] - both
        parts.append(_near(row, column, both / np.where(both > 0, whole, 1.0), least))
    return _joined(parts)


def mask_pairs(
    found: Sequence[dict[str, Any]],
    found_image: np.ndarray,
    object_mask: Callable[[int], dict[str, Any]],
    object_image: np.ndarray,
    least: float,
    share: bool = False,
) -> Pairs:
    """The same of masks, as compressed run lengths; `object_mask` gives that of an object by its number.

    found_image: (N,), object_image: (G,), both rising.
    """
    from pycocotools import mask

    parts = []
    for image in np.intersect1d(found_image, object_image):
        rows, columns = (
            np.arange(*np.searchsorted(images, [image, image + 1])) for images in (found_image, object_image)
        )
        others = [object_mask(column) for column in columns.tolist()]
        overlap = mask.iou([found[row] for row in rows.tolist()], others, [share] * len(others))
        at = np.indices(overlap.shape).reshape(2, -1)
        parts.append(_near(rows[at[0]], columns[at[1]], overlap.ravel(), least))
    return _joined(parts)


def _together(rows: np.ndarray, columns: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """All pairs of equal numbers, as positions in `rows` and `columns`, both rising; MOST at a time."""
    first, end = (np.searchsorted(columns, rows, side) for side in ("left", "right"))
    count = end - first
    done = np.cumsum(count)
    start = 0
    while start < len(rows):
        limit = done[start] - count[start] + MOST
        stop = max(int(np.searchsorted(done, limit, "right")), start + 1)
        n = count[start:stop]
        offset = first[start:stop] - (np.cumsum(n) - n)
        yield np.repeat(np.arange(start, stop), n), np.repeat(offset, n) + np.arange(n.sum())
        start = stop


def _near(row: np.ndarray, column: np.ndarray, overlap: np.ndarray, least: float) -> Pairs:
    near = overlap >= least
    return Pairs(row[near], column[near], overlap[near])


def _joined(parts: Sequence[Pairs]) -> Pairs:
    none = Pairs(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0))
    return Pairs(*(np.concatenate(columns) for columns in zip(none, *parts, strict=True)))
