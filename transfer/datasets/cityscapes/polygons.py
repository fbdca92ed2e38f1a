"""Reads Cityscapes' polygons, and draws them into id maps as its own preparation scripts do."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from transfer.datasets.cityscapes.labels import HAVE_INSTANCES, ID_OF, NAMES
from transfer.errors import DataError


@dataclass(frozen=True)
class Thing:
    """One polygon: a label of NAMES, whether it outlines a group of such, and its points (P, 2) x, y."""

    label: str
    group: bool
    points: np.ndarray


def read_polygons(path: str) -> tuple[int, int, list[Thing]]:
    """Returns (width, height) of the image and its polygons; later ones lie over earlier ones.

    Deleted ones and licence plates, which have no id, are left out. DataError for any other file.
    """
    try:
        document = json.loads(Path(path).read_bytes())
        width, height = int(document["imgWidth"]), int(document["imgHeight"])
        things = [_thing(t, path) for t in document["objects"] if not t.get("deleted")]
    except DataError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError, OSError) as e:
        raise DataError(f"{path}: not Cityscapes polygons ({type(e).__name__}: {e})") from None
    return width, height, [thing for thing in things if thing is not None]


def draw_polygons(path: str, numbered: bool) -> np.ndarray:
    """(H, W) int32 label ids; numbered: 1000 * id + number for instances that are no group."""
    from PIL import Image, ImageDraw

    width, height, things = read_polygons(path)
    count = dict.fromkeys(HAVE_INSTANCES, 0)
    try:
        canvas = Image.new("I", (width, height), 0)
        draw = ImageDraw.Draw(canvas)
        for thing in things:
            value = ID_OF[thing.label]
            if numbered and thing.label in HAVE_INSTANCES and not thing.group:
                value, count[thing.label] = value * 1000 + count[thing.label], count[thing.label] + 1
            draw.polygon([(x, y) for x, y in thing.points.tolist()], fill=value)
    except (TypeError, ValueError) as e:
        raise DataError(f"{path}: not Cityscapes polygons ({type(e).__name__}: {e})") from None
    return np.array(canvas)


def _thing(entry: dict[str, Any], path: str) -> Thing | None:
    label = entry["label"]
    group = label not in ID_OF and label.endswith("group")
    label = label.removesuffix("group") if group else label
    if label == "license plate":
        return None
    if label not in ID_OF:
        raise DataError(f"{path}: label {entry['label']!r}; expected one of {', '.join(NAMES[:8])}, ...")
    points = np.array(entry["polygon"], np.float64)
    if points.ndim != 2 or points.shape[1] != 2 or not np.isfinite(points).all():
        raise ValueError(f"the polygon of a {label} is no list of finite [x, y]")
    return Thing(label, group, points)
