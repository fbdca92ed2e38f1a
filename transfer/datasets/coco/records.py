"""Makes dataset dicts and columns from COCO's annotations when they are asked for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from transfer.datasets.base import XYXY
from transfer.datasets.coco.images import Images
from transfer.datasets.coco.rle import compressed
from transfer.datasets.coco.table import Annotations
from transfer.datasets.records import Column, LazyRecords


def make_records(
    table: Annotations, images: Images, categories: list[dict[str, Any]], fit: np.ndarray, folder: Path
) -> LazyRecords:
    """Lazy dataset dicts of the annotations where fit (N,) holds."""
    usable = np.flatnonzero(fit)
    image_of = images.index_of(table.rows["image_id"][usable])
    order = np.argsort(image_of, kind="stable")
    starts = np.searchsorted(image_of[order], np.arange(len(images.names) + 1))
    classes = {c["id"]: i for i, c in enumerate(categories)}
    maker = _Maker(table, images, classes, folder, usable[order], image_of[order], starts)
    return LazyRecords(len(images.names), maker.record, maker.columns, maker.bare)


@dataclass(frozen=True)
class _Maker:
    """The annotations of image i are the rows by_image[starts[i] : starts[i + 1]] of the table."""

    table: Annotations
    images: Images
    classes: dict[int, int]
    folder: Path
    by_image: np.ndarray  # (U,) rows of the table that are fit, image by image
    image_of: np.ndarray  # (U,) their images
    starts: np.ndarray

    def record(self, i: int) -> dict[str, Any]:
        members = self.by_image[self.starts[i] : self.starts[i + 1]].tolist()
        return self.bare(i) | {"annotations": [_annotation(self.table, n, self.classes) for n in members]}

    def bare(self, i: int) -> dict[str, Any]:
        images = self.images
        record = {
            "file_name": str(self.folder / images.names[i]),
            "image_id": int(images.ids[i]),
            "height": int(images.height[i]),
            "width": int(images.width[i]),
            "annotations": [],
        }
        record.update({key: values[i] for key, values in images.extra.items() if values[i]})
        return record

    def columns(self, name: str) -> dict[str, Column]:
        images, table = self.images, self.table
        if name == "width":
            return {name: images.width}
        if name == "height":
            return {name: images.height}
        if name == "image_id":
            return {name: images.ids.astype(object)}
        if name == "file_name":
            return {name: np.array([str(self.folder / file) for file in images.names], object)}
        if name == "has_object":
            return {name: self._count(table.rows["iscrowd"][self.by_image] == 0) > 0}
        if name == "labelled_keypoints" and table.keypoints is not None:
            return {name: self._count((table.keypoints[:, 2::3] > 0).sum(axis=1)[self.by_image])}
        if name == "has_surface":
            labelled = np.zeros(len(table), bool)
            labelled[[n for n, fields in table.densepose.items() if "dp_x" in fields]] = True
            return {name: self._count(labelled[self.by_image]) > 0}
        if name == "categories":
            return {name: self._categories()}
        return {}

    def _count(self, values: np.ndarray) -> np.ndarray:
        """(images,) int64: the sum of values (U,) over the annotations of each image."""
        sums = np.bincount(self.image_of, values, len(self.images.names))
        return sums.astype(np.int64)

    def _categories(self) -> np.ndarray:
        known = np.array(list(self.classes), np.int64)  # rising, and the class is the position
        classes = np.searchsorted(known, self.table.rows["category_id"][self.by_image]).tolist()
        out = np.empty(len(self.images.names), object)
        for i, (a, b) in enumerate(zip(self.starts[:-1].tolist(), self.starts[1:].tolist(), strict=True)):
            out[i] = classes[a:b]
        return out


def _annotation(table: Annotations, n: int, classes: dict[int, int]) -> dict[str, Any]:
    row = table.rows[n]
    x, y, w, h = row["bbox"].tolist()
    shape = table.segmentation(n)
    out: dict[str, Any] = {
        "bbox": [x, y, x + w, y + h],
        "bbox_mode": XYXY,
        "category_id": classes[int(row["category_id"])],
        "iscrowd": int(row["iscrowd"]),
        "difficult": 0,
        "segmentation": compressed(shape)
        if isinstance(shape, dict)
        else [p for p in shape if len(p) >= 6 and len(p) % 2 == 0],
    }
    if table.keypoints is not None:
        points = table.keypoints[n].copy()
        points[0::3] += 0.5
        points[1::3] += 0.5
        out["keypoints"] = points.tolist()
    out.update(table.densepose.get(n, {}))
    return out
