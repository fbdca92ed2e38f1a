"""Moves the masks and keypoints of a record into the pixels of a sample, as Detectron2's mapper does.

The view resizes and mirrors points and pixels (`transfer.samples.view`); that left and right change names in
a mirror is done here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from transfer.errors import DataError
from transfer.samples.view import View

Annotation = dict[str, Any]
# An object's mask: polygons, (2P,) float64 each: x, y, ...; or a run-length dict of the sample's size.
Shape = list[np.ndarray] | dict[str, Any]


def moved_masks(annotations: Sequence[Annotation], view: View, source: str) -> list[Shape]:
    """The objects' masks in the sample.

    Polygons stay polygons. Where one object of the image has a run-length mask, all of them become such
    masks, so that an image is in one of Detectron2's two mask formats. `source` is named in errors.
    """
    given = [_field(a, "segmentation", "MODEL.MASK_ON", source) for a in annotations]
    polygons = all(isinstance(shape, list) for shape in given)
    return [_moved_polygons(s, view) if polygons else _moved_bitmap(s, view) for s in given]


def is_empty(shape: Shape) -> bool:
    """Whether a shape has no polygon, or no pixel: such an object is not trained on."""
    if isinstance(shape, list):
        return not shape
    from pycocotools import mask

    return not mask.area(shape)


def moved_keypoints(
    annotations: Sequence[Annotation], view: View, metadata: dict[str, Any], source: str
) -> np.ndarray:
    """(N, K, 3) float32 x, y, visibility; all zero where a point is not labelled or outside the sample."""
    given = [_field(a, "keypoints", "MODEL.KEYPOINT_ON", source) for a in annotations]
    points = np.array(given, np.float64).reshape(len(given), len(metadata["keypoint_names"]), 3)
    points[..., :2] = view.points(points[..., :2])
    inside = (points[..., :2] >= 0) & (points[..., :2] <= [view.new[1], view.new[0]])
    labelled = inside.all(axis=-1) & (points[..., 2] > 0)
    points = np.where(labelled[..., None], points, 0)
    if view.flipped:  # a left hand in the mirror is a right hand
        points = points[:, mirrored_keypoints(metadata)]
    return points.astype(np.float32)


def mirrored_keypoints(metadata: dict[str, Any]) -> list[int]:
    """For each keypoint the index of its left-right partner, its own where it has none."""
    names = list(metadata["keypoint_names"])
    partner = {a: b for pair in metadata["keypoint_flip_map"] for a, b in (pair, pair[::-1])}
    return [names.index(partner.get(name, name)) for name in names]


def _field(annotation: Annotation, name: str, switch: str, source: str) -> Any:
    if name not in annotation:
        raise DataError(
            f"{source}: an object has no {name}, which {switch} needs; train on a data set that has them"
        )
    return annotation[name]


def _moved_polygons(polygons: list[Any], view: View) -> list[np.ndarray]:
    return [view.points(np.reshape(polygon, (-1, 2))).ravel() for polygon in polygons]


def _moved_bitmap(shape: Any, view: View) -> dict[str, Any]:
    from pycocotools import mask

    if isinstance(shape, list):
        drawn = mask.frPyObjects(_moved_polygons(shape, view), *view.new) if shape else []
        empty = np.zeros(view.new, np.uint8, order="F")
        return mask.merge(drawn) if drawn else mask.encode(empty)
    # Only the object's own pixels are moved: the image may have two million others.
    rows, columns = view.nearest
    x, y, width, height = mask.toBbox(shape).astype(int)
    down = np.flatnonzero((rows >= y) & (rows < y + height))
    across = np.flatnonzero((columns >= x) & (columns < x + width))
    moved = np.zeros(view.new, np.uint8, order="F")
    moved[np.ix_(down, across)] = mask.decode(shape)[np.ix_(rows[down], columns[across])]
    return mask.encode(moved)
