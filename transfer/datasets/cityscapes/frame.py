"""Holds the files of one annotated image of Cityscapes, and makes the maps that it is scored by."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from transfer.datasets.base import XYXY
from transfer.datasets.cityscapes.class_map import read_label_ids
from transfer.datasets.cityscapes.labels import INSTANCES, NAMES
from transfer.datasets.cityscapes.polygons import draw_polygons
from transfer.errors import DataError

# Values of an instance map that are an object of a judged class: such a value is 1000 * label id + number.
OBJECT = np.zeros(1 << 16, bool)
for _label in INSTANCES:
    OBJECT[1000 * NAMES.index(_label) : 1000 * NAMES.index(_label) + 1000] = True


@dataclass(frozen=True)
class Frame:
    """The files of one image; a path is empty where the file is not there."""

    image_id: str  # <city>_<sequence>_<frame>
    image: str
    instance_ids: str
    label_ids: str
    polygons: str

    def source(self, semantic: bool) -> str:
        """The file of the map that is scored by: the PNG, or the polygons where it is absent."""
        return (self.label_ids if semantic else self.instance_ids) or self.polygons


def instance_map(frame: Frame) -> np.ndarray:
    """(H, W) int32: 1000 * label id + number for an instance, else and for groups the label id."""
    from PIL import Image

    if frame.instance_ids:
        try:
            with Image.open(frame.instance_ids) as image:
                return np.array(image).astype(np.int32)
        except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as e:
            raise DataError(f"{frame.instance_ids}: cannot be read as a mask ({e})") from None
    return draw_polygons(frame.polygons, numbered=True)


def label_map(frame: Frame) -> np.ndarray:
    """(H, W) uint8 training classes, 255 where nothing is judged."""
    return read_label_ids(frame.source(True))


def map_has_object(ids: np.ndarray) -> bool:
    """Whether an instance map holds an object of a judged class that is no group."""
    return bool(OBJECT[ids.clip(0, len(OBJECT) - 1)].any())


def instances(ids: np.ndarray) -> list[dict[str, Any]]:
    """Annotations of the judged classes in an instance map, masks as run lengths; groups are crowds."""
    from pycocotools import mask
    from scipy.ndimage import find_objects

    values = np.flatnonzero(np.bincount(ids.ravel()))
    numbers = np.zeros(values[-1] + 1, np.int32)
    numbers[values] = np.arange(1, len(values) + 1)
    found = []
    for value, box in zip(values, find_objects(numbers[ids]), strict=True):
        label = int(value // 1000 if value >= 1000 else value)
        if label >= len(NAMES) or NAMES[label] not in INSTANCES:
            continue
        rows, columns = box
        where = np.zeros(ids.shape, np.uint8, order="F")  # run lengths go down the columns
        where[box] = ids[box] == value
        found.append(
            {
                "bbox": [float(columns.start), float(rows.start), float(columns.stop), float(rows.stop)],
                "bbox_mode": XYXY,
                "category_id": INSTANCES.index(NAMES[label]),
                "iscrowd": int(value < 1000),
                "difficult": 0,
                "segmentation": mask.encode(where),
            }
        )
    return found
