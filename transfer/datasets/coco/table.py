"""Packs COCO annotations into columns: arrays of numbers, one flat array of polygons, objects for the rest.

Memory: 100 bytes an annotation and 8 a polygon coordinate; train2017 takes 0.5 GB, as parsed JSON 3 GB.
"""

from __future__ import annotations

import struct
from array import array
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

import numpy as np

from transfer.datasets.coco.densepose import KEYS as DENSEPOSE_KEYS

_ROW = struct.Struct("<qqq5dq")
ROW = np.dtype(
    [
        ("id", "<i8"),
        ("image_id", "<i8"),
        ("category_id", "<i8"),
        ("bbox", "<f8", 4),
        ("area", "<f8"),
        ("iscrowd", "<i8"),
    ]
)


@dataclass
class Annotations:
    """All annotations of a file, in file order.

    rows: (N,) of ROW, boxes as in the file (x, y, width, height).
    coords: flat polygon coordinates; polygon p is coords[poly_start[p]:poly_start[p + 1]].
    first_poly: (N + 1,), annotation n has the polygons first_poly[n]:first_poly[n + 1].
    rle: annotation -> {"counts", "size"} as in the file. densepose: annotation -> its dp_* fields.
    keypoints: (N, 51) x, y, visibility in turn, and num_keypoints: (N,); None in files without.
    """

    rows: np.ndarray
    coords: np.ndarray
    poly_start: np.ndarray
    first_poly: np.ndarray
    rle: dict[int, dict[str, Any]]
    keypoints: np.ndarray | None
    num_keypoints: np.ndarray | None
    densepose: dict[int, dict[str, Any]]

    def __len__(self) -> int:
        return len(self.rows)

    def segmentation(self, n: int) -> list[list[float]] | dict[str, Any]:
        """As in the file: polygons (list of flat x, y lists) or a run-length dict."""
        if n in self.rle:
            return self.rle[n]
        starts = self.poly_start[self.first_poly[n] : self.first_poly[n + 1] + 1]
        return [self.coords[a:b].tolist() for a, b in zip(starts[:-1], starts[1:], strict=True)]

    def take(self, which: np.ndarray) -> Annotations:
        """The annotations at these positions, (A,), in that order."""
        count = np.diff(self.first_poly)[which]
        polygons = _ranges(self.first_poly[which], count)
        length = np.diff(self.poly_start)[polygons]
        places = list(enumerate(which.tolist()))
        return Annotations(
            self.rows[which],
            self.coords[_ranges(self.poly_start[polygons], length)],
            np.concatenate([[0], np.cumsum(length)]),
            np.concatenate([[0], np.cumsum(count)]),
            {new: self.rle[old] for new, old in places if old in self.rle},
            None if self.keypoints is None else self.keypoints[which],
            None if self.num_keypoints is None else self.num_keypoints[which],
            {new: self.densepose[old] for new, old in places if old in self.densepose},
        )


def _ranges(starts: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """The indices start, start + 1, ... of each range, one range after the other."""
    before = np.cumsum(counts) - counts
    return np.repeat(starts - before, counts) + np.arange(counts.sum())


@dataclass
class Collector:
    """The sink of `read_chunked`: packs well-typed annotations and puts the others aside, for `explain`.

    num_keypoints: of a person, 0 for files without. crowds: whether `iscrowd` is a field of the format; LVIS
        has none. masks: whether `segmentation` is read; else it may be anything, or absent.
    """

    num_keypoints: int = 0
    crowds: bool = True
    masks: bool = True
    densepose: bool = False
    bad: list[tuple[int, Any]] = field(default_factory=list)
    _rows: bytearray = field(default_factory=bytearray)
    _coords: array[float] = field(default_factory=lambda: array("d"))
    _poly_start: array[int] = field(default_factory=lambda: array("q", [0]))
    _first_poly: array[int] = field(default_factory=lambda: array("q", [0]))
    _rle: dict[int, dict[str, Any]] = field(default_factory=dict)
    _keypoints: array[float] = field(default_factory=lambda: array("d"))
    _num_keypoints: array[int] = field(default_factory=lambda: array("q"))
    _densepose: dict[int, dict[str, Any]] = field(default_factory=dict)
    _seen: int = 0

    def take(self, items: list[Any], booleans: bool = True) -> None:
        """Packs annotations; `booleans` says whether `true` or `false` may be in them."""
        n = len(self._first_poly) - 1
        for a in items:
            marks = len(self._coords), len(self._poly_start), len(self._keypoints)
            try:
                if booleans and self._is_boolean_anywhere(a):
                    raise TypeError
                row = _ROW.pack(
                    a["id"],
                    a["image_id"],
                    a["category_id"],
                    *a["bbox"],
                    a["area"],
                    a["iscrowd"] if self.crowds else 0,
                )
                if a.get("ignore"):
                    raise ValueError
                shape = a["segmentation"] if self.masks else ()
                if isinstance(shape, dict):
                    _check_rle(shape)
                    self._rle[n] = shape
                else:
                    for polygon in shape:
                        self._coords.extend(polygon)
                        self._poly_start.append(len(self._coords))
                if self.num_keypoints:
                    points = a["keypoints"]
                    if len(points) != 3 * self.num_keypoints:
                        raise ValueError
                    self._keypoints.extend(points)
                    self._num_keypoints.append(a["num_keypoints"])
                if self.densepose and "dp_x" in a:
                    self._densepose[n] = {key: a[key] for key in DENSEPOSE_KEYS if key in a}
            except (KeyError, TypeError, ValueError, OverflowError, struct.error, AttributeError):
                del self._coords[marks[0] :], self._poly_start[marks[1] :], self._keypoints[marks[2] :]
                del self._num_keypoints[n:]
                self._rle.pop(n, None)
                self.bad.append((self._seen, a))
            else:
                self._rows += row
                self._first_poly.append(len(self._poly_start) - 1)
                n += 1
            self._seen += 1

    def _is_boolean_anywhere(self, a: dict[str, Any]) -> bool:
        """Whether a number that we use is `true` or `false`, which arrays and structs take for 1 and 0."""
        values = [a.get(key) for key in ("id", "image_id", "category_id", "area", "bbox")]
        values += [a.get("iscrowd")] if self.crowds else []
        values += [a.get("keypoints"), a.get("num_keypoints")] if self.num_keypoints else []
        shape = a.get("segmentation") if self.masks else None
        values += shape.values() if isinstance(shape, dict) else shape if isinstance(shape, list) else []
        return any(v is True or v is False for v in chain(values, *(v for v in values if type(v) is list)))

    def table(self) -> Annotations:
        """All that was packed, in the order of the file."""
        keypoints = num_keypoints = None
        if self.num_keypoints:
            keypoints = np.frombuffer(self._keypoints, "<f8").reshape(-1, 3 * self.num_keypoints)
            num_keypoints = np.frombuffer(self._num_keypoints, "<i8")
        return Annotations(
            np.frombuffer(self._rows, ROW),
            np.frombuffer(self._coords, "<f8"),
            np.frombuffer(self._poly_start, "<i8"),
            np.frombuffer(self._first_poly, "<i8"),
            self._rle,
            keypoints,
            num_keypoints,
            self._densepose,
        )


def _check_rle(rle: dict[str, Any]) -> None:
    height, width = rle["size"]
    counts = rle["counts"]
    if not (isinstance(height, int) and isinstance(width, int)):
        raise TypeError
    if isinstance(counts, list):
        whole = all(type(c) is int and c >= 0 for c in counts)
        if not whole or sum(counts) != height * width:
            raise ValueError
    elif not isinstance(counts, str):
        raise TypeError
