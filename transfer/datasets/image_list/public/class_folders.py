"""Reads ImageNet, lists of a part of it, and the sets that are only tested on with its classes."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np

from transfer.datasets.image_list.folders import class_folders
from transfer.datasets.image_list.public.row import Entry, Listing, Read, lines, scrambled
from transfer.errors import DataError

SUBSETS = "imagenet_subsets"  # folder of the lists, as SimCLR's repository has it
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


def _read_subset(root: Path, seed: int, file: str, sha256: str) -> Listing:
    """Trains on the images of a list of names alone; `sha256` is that of the published one, empty for any."""
    path = root / SUBSETS / file
    if not path.is_file():
        raise DataError(
            f"{path} is missing; bring {SUBSETS}/{file} of google-research/simclr, which has the list"
        )
    if sha256 and hashlib.sha256(path.read_bytes()).hexdigest() != sha256:
        raise DataError(f"{path}: not the list of google-research/simclr (others share its name); take it")
    tested = _read(root, seed, {"test": "val"}, numbered=False)
    number = {name: i for i, name in enumerate(tested.classes)}
    rows = []
    for name in lines(path):
        wnid = name.partition("_")[0]
        if wnid not in number:
            raise scrambled(path, f"{name} is of no class of val")
        rows.append(Entry(f"train/{wnid}/{name}", f"train/{wnid}/{name}", number[wnid]))
    return Listing(tested.classes, {"train": rows, "test": tested.parts["test"]})


def subset(file: str, sha256: str) -> Read:
    """The reader of ImageNet whose training images are those of a list in `imagenet_subsets`."""
    return partial(_read_subset, file=file, sha256=sha256)


read_wnid_folders = partial(_read, folders={"test": ""}, numbered=False)
read_numbered_folders = partial(_read, folders={"test": ""}, numbered=True)


def positions(classes: Sequence[str], of_head: Sequence[str]) -> np.ndarray:
    """(C,) int64: which outputs of a head with the classes `of_head` are the `classes` of a set.

    A set of fewer classes (-A, -R) is scored by these outputs alone. Numbers that are no names of the head's
    classes (-V2) count its sorted WordNet ids. DataError for a class that the head does not have.
    """
    ordered, place = sorted(of_head), {name: i for i, name in enumerate(of_head)}
    counts = all(c.isdecimal() and c not in place and int(c) < len(ordered) for c in classes)
    names = [ordered[int(c)] for c in classes] if counts else list(classes)
    absent = [name for name in names if name not in place]
    if absent:
        raise DataError(
            f"class {absent[0]} is none of the {len(of_head)} classes that the head was fitted on; test on a "
            "set of these, or on a part of them"
        )
    return np.array([place[name] for name in names], np.int64)
