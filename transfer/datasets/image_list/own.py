"""Defines and reads a user's own labelled images: class folders, or lists in CSV files.

In a suite file `birds: {format: labelled, folder: birds}` reads `birds/train/CLASS/*.jpg`, `birds/test/...`
and, where it is there, `birds/val/...`; a part may be a zip archive. Or `{format: labelled, images: photos,
train: train.csv, test: test.csv}`, of which each line is a path below `images` and a class.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from transfer.datasets.coco.own import block, check_keys, near, own_path
from transfer.datasets.image_list.folders import class_folders, of_class_folders
from transfer.datasets.image_list.images import LabelledImages, Place, labelled
from transfer.datasets.image_list.parts import Hold, Task
from transfer.datasets.image_list.public.row import missing
from transfer.datasets.image_list.task import METRICS, make_task
from transfer.errors import DataError

FORMAT = "labelled"
PARTS = ("train", "val", "test")
_USUAL = "top1"


@dataclass(frozen=True)
class OwnLabelled:
    """A labelled set of a user: the suite file that defines it, and where its parts lie.

    parts: folder, zip archive or CSV list of each part. images: the folder that the lists' paths are below.
    """

    name: str
    parts: Mapping[str, Path]
    images: Path | None
    metric: str
    suite: Path

    @property
    def where(self) -> str:
        """The place in the user's file: how every message about the data set begins."""
        return f"{block(self.suite)}: {self.name}"


def is_labelled(definition: Any) -> bool:
    """Whether a definition of a suite's `datasets` is one of labelled images."""
    return isinstance(definition, Mapping) and definition.get("format") == FORMAT


def define_labelled(name: str, definition: Mapping[Any, Any], suite: Path) -> OwnLabelled:
    """Checks a definition; DataError names the file and the key. No image is looked at."""
    where = f"{block(suite)}: {name}"
    metric = definition.get("metric", _USUAL)
    if metric not in METRICS[:2]:
        raise DataError(f"{where}: metric is {metric!r}; expected {' or '.join(METRICS[:2])}")
    if "folder" in definition:
        check_keys(definition, ("format", "folder"), ("metric",), where)
        folder = own_path(definition["folder"], f"{where}: folder", suite)
        return OwnLabelled(name, _in_folder(folder, where), None, metric, suite)
    check_keys(definition, ("format", "images", "train", "test"), ("val", "metric"), where)
    images = own_path(definition["images"], f"{where}: images", suite)
    lists = {p: own_path(definition[p], f"{where}: {p}", suite) for p in PARTS if p in definition}
    return OwnLabelled(name, lists, images, metric, suite)


def _in_folder(folder: Path, where: str) -> dict[str, Path]:
    """The parts that a folder has, as folders or zip archives."""
    if not folder.is_dir():
        raise DataError(f"{where}: folder: {folder} is not a folder; correct `folder`{near(folder)}")
    found: dict[str, Path] = {}
    for part in PARTS:
        places = [p for p in (folder / part, folder / f"{part}.zip") if p.exists()]
        if len(places) > 1:
            raise DataError(f"{where}: {folder} has {part} and {part}.zip; keep one")
        found |= {part: places[0]} if places else {}
    absent = [part for part in ("train", "test") if part not in found]
    if absent:
        there = ", ".join(sorted(p.name for p in folder.iterdir())[:6]) or "nothing"
        raise DataError(
            f"{where}: {folder} has no {' and no '.join(absent)}; expected train/CLASS/*.jpg and "
            f"test/CLASS/*.jpg, it holds: {there}"
        )
    return found


def load_own(own: OwnLabelled) -> Task:
    """Reads, checks and hashes the set; DataError begins with the place in the suite file."""
    return make_task(own.where, read_own(own), Hold(), own.metric)


def read_own(own: OwnLabelled) -> dict[str, LabelledImages]:
    """The lists of the set, unchecked; DataError for what cannot be read."""
    return _of_lists(own) if own.images else _of_folders(own)


def _of_folders(own: OwnLabelled) -> dict[str, LabelledImages]:
    """The classes are the folders of train, and each part must have the same."""
    found = {part: class_folders(path, f"{own.where}: {part}") for part, path in own.parts.items()}
    empty = [
        (part, name) for part, classes in found.items() for name, images in classes.items() if not images
    ]
    if empty:
        part, name = empty[0]
        raise DataError(f"{own.where}: class {name} has no image in {part}; add some, or remove the folder")
    classes = sorted(found["train"])
    _same_classes(own, classes, {part: set(names) for part, names in found.items()})
    return {part: of_class_folders(names, classes, f"{own.name}/{part}") for part, names in found.items()}


def _of_lists(own: OwnLabelled) -> dict[str, LabelledImages]:
    rows = {part: _read_list(path, f"{own.where}: {part}") for part, path in own.parts.items()}
    classes = sorted({name for _, name in rows["train"]})
    _same_classes(own, classes, {part: {name for _, name in pairs} for part, pairs in rows.items()})
    number = {name: i for i, name in enumerate(classes)}
    images = own.images or Path()
    found: dict[str, LabelledImages] = {}
    if not images.is_dir():
        raise DataError(f"{own.where}: images: {images} is not a folder; correct `images`{near(images)}")
    for part, pairs in rows.items():
        absent = missing(images, (path for path, _ in pairs))
        if absent:
            more = f" (and {len(absent) - 1} more)" if len(absent) > 1 else ""
            raise DataError(f"{own.where}: {part}: {images / absent[0]} is missing{more}; correct the list")
        places = [Place(os.path.join(images, path)) for path, _ in pairs]
        labels = [number[name] for _, name in pairs]
        found[part] = labelled(f"{own.name}/{part}", classes, [path for path, _ in pairs], places, labels)
    return found


def _read_list(path: Path, where: str) -> list[tuple[str, str]]:
    """(path, class) of each line; a first line `path,label` or the like names the columns and is left out."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = [(number, row) for number, row in enumerate(csv.reader(file), 1) if any(row)]
    except OSError as error:
        raise DataError(f"{where}: {path}: {error.strerror}; correct the path{near(path)}") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{where}: {path}: no CSV in UTF-8 ({error}); save it as that") from None
    found = []
    for number, row in rows:
        text, name = (row[0].strip(), row[1].strip()) if len(row) == 2 else ("", "")
        if number == rows[0][0] and text.lower() in ("path", "file", "image", "file_name", "filename"):
            continue
        inside = text and not PurePosixPath(text).is_absolute() and ".." not in PurePosixPath(text).parts
        if not name or not inside:
            raise DataError(
                f"{where}: {path}: line {number} is {','.join(row)!r:.80}; expected a path below `images`, a "
                "comma and a class"
            )
        found.append((text, name))
    if not found:
        raise DataError(f"{where}: {path}: has no images; expected lines of path,class")
    return found


def _same_classes(own: OwnLabelled, classes: list[str], found: Mapping[str, set[str]]) -> None:
    for part, names in found.items():
        for one, other, absent in (
            (part, "train", names - set(classes)),
            ("train", part, set(classes) - names),
        ):
            if absent:
                more = f" (and {len(absent) - 1} more classes)" if len(absent) > 1 else ""
                raise DataError(
                    f"{own.where}: class {min(absent)} is in {one} and not in {other}{more}; add images of "
                    f"it, or take it out of {one}"
                )
