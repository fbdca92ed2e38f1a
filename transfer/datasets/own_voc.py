"""Reads a user's own data set in VOC's layout: a devkit's folders, a split's list, the user's classes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from transfer.datasets.base import Dataset
from transfer.datasets.coco.own import OwnDataset, block, check_keys, near, own_path
from transfer.datasets.findings import Findings
from transfer.datasets.voc import Devkit, read_devkit
from transfer.errors import DataError

_KEYS = ("format", "devkit", "split", "classes")
ENDINGS = (".jpg", ".jpeg", ".png", ".JPG", ".JPEG", ".PNG")
_YEAR = 2012  # average precision is the area under the curve, as in VOC from 2010 on


def make_own_voc(name: str, definition: Mapping[Any, Any], suite: Path) -> OwnDataset:
    """Checks a definition `{format: voc, devkit, split, classes}`; what the paths hold is not looked at.

    The devkit has the folders Annotations, JPEGImages and ImageSets/Main with SPLIT.txt. DataError names the
    file and the key.
    """
    where = f"{block(suite)}: {name}"
    check_keys(definition, _KEYS, (), where)
    devkit = own_path(definition["devkit"], f"{where}: devkit", suite)
    split = str(definition["split"])
    if not split or Path(split).name != split or "\0" in split:
        raise DataError(
            f"{where}: split is {split!r}; expected the name of a list in ImageSets/Main, as train"
        )
    classes = classes_of(definition["classes"], where, "as the XML has")
    split_file = devkit / "ImageSets" / "Main" / f"{split}.txt"
    return OwnDataset(name, split_file, devkit / "JPEGImages", ("bbox",), suite, classes)


def classes_of(classes: Any, where: str, which: str) -> tuple[str, ...]:
    """The names of a user's classes as he wrote them; DataError unless they are different texts."""
    texts = isinstance(classes, list) and all(isinstance(c, str) and c.strip() == c != "" for c in classes)
    if not texts or not classes or len(set(classes)) < len(classes):
        raise DataError(f"{where}: classes is {classes!r:.120}; expected a list of different names, {which}")
    return tuple(classes)


def read_own_voc(own: OwnDataset, findings: Findings) -> Dataset[None]:
    """Reads the data set; problems go to `findings`, missing or unreadable files raise DataError."""
    annotations = own.images.parent / "Annotations"
    for folder in (own.images, annotations):
        if not folder.is_dir():
            raise DataError(f"{own.where}: devkit: {folder} is not a folder; correct `devkit`{near(folder)}")
    if not own.json.is_file():
        raise DataError(f"{own.where}: split: {own.json} is not a file; correct `split`{near(own.json)}")
    kit = Devkit(annotations, own.images, own.json, own.classes, ENDINGS)
    try:
        dataset = read_devkit(kit, own.name, _YEAR, findings)
    except DataError as error:
        raise DataError(f"{own.where}: split: {error}") from None
    except OSError as error:
        raise DataError(f"{own.where}: devkit: {error.filename}: {error.strerror}") from None
    objects = dataset.summary["objects"]
    if not objects and not findings.errors:
        says = "there are none, so there is nothing to train on or to score"
        findings.error("no-objects", own.json.name, "", "object", None, says)
    # A box is all that training needs of an object, and VOC has no crowds.
    summary = dataset.summary | {"trainable_objects": objects, "crowds": 0}
    return replace(dataset, summary=summary, where=own.where)
