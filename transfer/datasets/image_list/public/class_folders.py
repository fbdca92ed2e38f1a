"""Reads ImageNet and the sets that are only tested on with its classes: -V2, -A, -R, -Sketch."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np

from transfer.datasets.image_list.folders import class_folders
from transfer.datasets.image_list.public.row import Entry, Listing
from transfer.errors import DataError

_WNID = re.compile(r"n\d{8}")


def read_imagenet(root: Path, seed: int) -> Listing:
    """Folders `train/WNID` and `val/WNID`; the labels of the real test are not public, so val is the test."""
    return _read(root, seed, {"train": "train", "test": "val"}, numbered=False)


def _read(root: Path, seed: int, folders: dict[str, str], numbered: bool) -> Listing:
    found = {part: class_folders(root / folder, folder or root.name) for part, folder in folders.items()}
    names = {name for classes in found.values() for name in classes}
    strange = sorted(name for name in names if not (name.isdecimal() if numbered else _WNID.fullmatch(name)))
    if strange:
        kind = "a number, as 17" if numbered else "a WordNet id, as n01440764"
        raise DataError(f"{root}: the class folder {strange[0]} is not {kind}; restore the set's own folders")
    order = sorted(names, key=int) if numbered else sorted(names)  # as strings 10 would come before 2
    number = {name: i for i, name in enumerate(order)}
    parts = {}
    for part, classes in found.items():
        begin, rows = f"{folders[part]}/" if folders[part] else "", []
        for name, places in classes.items():
            files = [f"{begin}{name}/{Path(place.file).name}" for place in places]
            rows += [Entry(file, file, number[name]) for file in files]
        parts[part] = rows
    return Listing(tuple(order), parts)


read_wnid_folders = partial(_read, folders={"test": ""}, numbered=False)
read_numbered_folders = partial(_read, folders={"test": ""}, numbered=True)


def positions(classes: Sequence[str], of_head: Sequence[str]) -> np.ndarray:
    """(C,) int64: which outputs of a head with the classes `of_head` are the `classes` of a set.

    A set of fewer classes (-A, -R) is scored by these outputs alone. Classes that are numbers (-V2) count
    the sorted WordNet ids. DataError for a class that the head does not have.
    """
    ordered = sorted(of_head)
    names = [ordered[int(c)] if c.isdecimal() and int(c) < len(ordered) else c for c in classes]
    place = {name: i for i, name in enumerate(of_head)}
    absent = [name for name in names if name not in place]
    if absent:
        raise DataError(
            f"class {absent[0]} is none of the head's {len(of_head)}; take a head that was fitted on ImageNet"
        )
    return np.array([place[name] for name in names], np.int64)
