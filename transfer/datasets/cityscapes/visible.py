"""Cuts Cityscapes' polygons down to what is visible: the truth that Detectron2 trains on.

Its reader (detectron2/data/datasets/cityscapes.py, from_json and to_polygons) walks from the topmost polygon
down. Points become pixel centres (+0.5, in float32), and the outline grows by half a pixel, because the drawn
one is fatter by that. What lies above is cut away. Of the rest the outer rings are kept, so holes are filled.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from transfer.datasets.base import XYXY
from transfer.datasets.cityscapes.labels import INSTANCES
from transfer.datasets.cityscapes.polygons import Thing, read_polygons
from transfer.errors import DataError

_HALF_PIXEL, _QUARTER_SEGMENTS = 0.5, 4


def visible_instances(path: str, width: int, height: int) -> list[dict[str, Any]]:
    """Annotations of the judged classes that are seen, topmost first; groups are crowds.

    DataError for polygons of another image size than (width, height), and for outlines of two points.
    """
    of = read_polygons(path)
    if of[:2] != (width, height):
        raise DataError(f"{path}: polygons of {of[0]}x{of[1]}, the image is {width}x{height}; restore both")
    return [_annotation(thing, rest) for thing, rest in _visible(of[2], path)]


def has_visible_object(path: str) -> bool:
    """Whether `visible_instances` holds one that is no group; the topmost polygons mostly decide."""
    things = read_polygons(path)[2]
    if not any(thing.label in INSTANCES and not thing.group for thing in things):
        return False
    return any(not thing.group for thing, _ in _visible(things, path))


def _visible(things: list[Thing], path: str) -> Iterator[tuple[Thing, Any]]:
    """Each judged thing that is not wholly covered, with the rest of its outline as a shapely geometry."""
    from shapely import Polygon
    from shapely.errors import ShapelyError

    lowest = next((i for i, thing in enumerate(things) if thing.label in INSTANCES), len(things))
    covered = Polygon()
    for thing in reversed(things[lowest:]):
        try:
            outline = Polygon(thing.points.astype(np.float32) + 0.5)
            outline = outline.buffer(_HALF_PIXEL, quad_segs=_QUARTER_SEGMENTS)
            if thing.label in INSTANCES:
                rest = outline.difference(covered)
                if rest.is_empty:
                    continue
                yield thing, rest
            covered = covered.union(outline)
        except (ValueError, ShapelyError) as e:
            raise DataError(f"{path}: the outline of a {thing.label} cannot be used ({e}); mend it") from None


def _annotation(thing: Thing, rest: Any) -> dict[str, Any]:
    parts = [part for part in getattr(rest, "geoms", [rest]) if part.geom_type == "Polygon"]
    return {
        "bbox": list(rest.bounds),
        "bbox_mode": XYXY,
        "category_id": INSTANCES.index(thing.label),
        "iscrowd": int(thing.group),
        "difficult": 0,
        "segmentation": [np.asarray(part.exterior.coords).ravel().tolist() for part in parts],
    }
