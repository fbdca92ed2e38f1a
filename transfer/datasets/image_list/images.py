"""Defines lists of images, with and without labels, and reads their bytes and pixels wherever they lie."""

from __future__ import annotations

import os
import threading
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import numpy as np

from transfer.datasets.images import open_rgb
from transfer.errors import DataError

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

RECORDS, PACKED = ".bin", ".zip"  # files that hold many images: CIFAR's binary batches, zip archives
SIDE = 32  # pixels of a CIFAR image, stored as 32 x 32 values of red, of green, of blue
_List = TypeVar("_List", bound="Images")


class Place(NamedTuple):
    """Where an image lies: an absolute file, and in a file of many the member.

    member: the name in a zip archive, or the byte at which the pixels of a record begin; else empty.
    """

    file: str
    member: str = ""

    def __str__(self) -> str:
        return f"{self.file}:{self.member}" if self.member else self.file


@dataclass(frozen=True, eq=False)
class Images:
    """Images in the order of their ids, which are unique and independent of where and how they are packed."""

    name: str
    ids: tuple[str, ...]
    places: tuple[Place, ...]

    def __len__(self) -> int:
        return len(self.ids)

    def take(self: _List, rows: Sequence[int] | np.ndarray, name: str) -> _List:
        """The images of these numbers, in their order, under another name."""
        numbers = np.asarray(rows, np.int64).tolist()
        ids, places = (tuple(column[i] for i in numbers) for column in (self.ids, self.places))
        return replace(self, name=name, ids=ids, places=places)


@dataclass(frozen=True, eq=False)
class LabelledImages(Images):
    """Images with what they show.

    classes: names, in the order of their numbers. labels: (N,) int64 class of each image; of a set with
    several classes an image (N, classes) int8, 1 for yes, -1 for no, 0 for difficult.
    """

    classes: tuple[str, ...]
    labels: np.ndarray

    @property
    def multi_label(self) -> bool:
        """Whether an image may show several classes."""
        return self.labels.ndim == 2

    def take(self, rows: Sequence[int] | np.ndarray, name: str) -> LabelledImages:
        """The images of these numbers with their labels, in their order, under another name."""
        return replace(super().take(rows, name), labels=self.labels[np.asarray(rows, np.int64)])

    def without_labels(self) -> Images:
        """The same images, and nothing that says what they show."""
        return Images(self.name, self.ids, self.places)


def labelled(
    name: str,
    classes: Sequence[str],
    ids: Sequence[str],
    places: Sequence[Place],
    labels: Sequence[int] | np.ndarray,
) -> LabelledImages:
    """A list sorted by id, whatever the order of what was read. DataError for an id that comes twice."""
    order = sorted(range(len(ids)), key=ids.__getitem__)
    for before, after in zip(order, order[1:], strict=False):
        if ids[before] == ids[after]:
            raise DataError(f"{name}: image {ids[after]} is listed twice; keep one")
    known = np.asarray(labels)
    known = known.astype(np.int64 if known.ndim == 1 else np.int8)[order]
    rows = tuple(ids[i] for i in order), tuple(places[i] for i in order)
    return LabelledImages(name, *rows, tuple(classes), known)


def joined(parts: Sequence[LabelledImages], name: str) -> LabelledImages:
    """The images of several lists with the same classes as one list, in the order of the ids."""
    ids = [i for part in parts for i in part.ids]
    places = [place for part in parts for place in part.places]
    return labelled(name, parts[0].classes, ids, places, np.concatenate([p.labels for p in parts]))


def image_bytes(place: Place) -> bytes:
    """The encoded bytes of an image; of a CIFAR record its 3,072 pixel values. DataError names the file."""
    try:
        if not place.member:
            return Path(place.file).read_bytes()
        if place.file.endswith(RECORDS):
            with Path(place.file).open("rb") as file:
                file.seek(int(place.member))
                raw = file.read(3 * SIDE * SIDE)
            if len(raw) < 3 * SIDE * SIDE:
                raise DataError(f"{place}: the file ends within the record; restore the file")
            return raw
        archive, lock = _opened(place.file)
        with lock:  # its file has one position for all threads
            return archive.read(place.member)
    except OSError as error:
        raise DataError(f"{place}: cannot be read ({error.strerror or error}); restore the file") from None
    except (KeyError, zipfile.BadZipFile, NotImplementedError, RuntimeError) as error:
        raise DataError(f"{place}: cannot be read ({error}); make the archive anew") from None


def open_image(place: Place) -> Picture:
    """The image as RGB, upright as its EXIF says; DataError, naming the place, where it cannot be had."""
    if not place.member:
        return open_rgb(place.file)
    raw = image_bytes(place)
    if not place.file.endswith(RECORDS):
        return open_rgb(str(place), raw)
    from PIL import Image

    return Image.fromarray(np.frombuffer(raw, np.uint8).reshape(3, SIDE, SIDE).transpose(1, 2, 0).copy())


def members(archive: Path) -> list[str]:
    """Names of the files in a zip archive, sorted. DataError for a file that is none."""
    try:
        found = _opened(str(archive))[0].infolist()
    except (OSError, zipfile.BadZipFile) as error:
        raise DataError(f"{archive}: no zip archive ({error}); make it anew, or unpack it") from None
    return sorted(one.filename for one in found if not one.is_dir())


def _opened(archive: str) -> tuple[zipfile.ZipFile, threading.Lock]:
    """The archive as it is now, opened once: its table of contents may have 100,000 lines."""
    found = os.stat(archive)
    return _open(archive, found.st_size, found.st_mtime_ns, found.st_ino)


@cache
def _open(archive: str, size: int, time: int, inode: int) -> tuple[zipfile.ZipFile, threading.Lock]:
    return zipfile.ZipFile(archive), threading.Lock()
