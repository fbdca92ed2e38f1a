"""Splits a training set by the file names of its images: NAME@fit is trained on, NAME@hold is scored.

Values such as the learning rate are chosen by that score. Whether an image is held out depends on its file
name alone. So all rows, seeds and machines hold out the same ones, and an image that two training sets share
is never in one's `fit` and the other's `hold`.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np

from transfer.datasets.base import Dataset
from transfer.datasets.coco.reader import CocoTruth
from transfer.datasets.records import chosen, column
from transfer.errors import DataError

FIT, HOLD = "fit", "hold"
SHARE = 5  # one image in so many is held out
RULE = f"held out is an image where SHA-256 of its file name, as a number, is a multiple of {SHARE}"


def split_name(name: str) -> tuple[str, str]:
    """(data set, `fit` or `hold`) of the name of a part; (name, "") of a whole data set's."""
    whole, at, part = name.rpartition("@")
    return (whole, part) if at and part in (FIT, HOLD) else (name, "")


def held_out(paths: Iterable[str]) -> np.ndarray:
    """(N,) bool: which of the image files are held out; their folders do not count."""
    return np.array([_number(os.path.basename(path)) % SHARE == 0 for path in paths], bool)


def part_of(dataset: Dataset[Any], part: str) -> Dataset[Any]:
    """The part `fit` or `hold` of a data set, called NAME@fit or NAME@hold, in the order of the whole.

    Its `sha256` is a hash of that of the whole, the rule and the part, so nothing is read again. DataError
    where no image is in the part.
    """
    held = held_out(column(dataset.records, "file_name"))
    rows = np.flatnonzero(held if part == HOLD else ~held)
    if not len(rows):
        what = "is held out" if part == HOLD else "is left to train on"
        raise DataError(
            f"{dataset.title}: of its {len(held)} images none {what}; rates cannot be tuned on so few: "
            "leave --tune out"
        )
    whole = dataset.summary
    cut = taken(dataset, rows)
    summary = {
        **cut.summary,
        "sha256": hashlib.sha256(f"{whole['sha256']} {RULE} {part}".encode()).hexdigest(),
        "part_of": {"name": dataset.name, "images": len(held), "sha256": whole["sha256"]},
    }
    return replace(cut, name=f"{dataset.name}@{part}", summary=summary)


def taken(dataset: Dataset[Any], rows: np.ndarray) -> Dataset[Any]:
    """The images of these rows as a data set of the same name; its summary has their counts alone."""
    records, truth = chosen(dataset.records, rows), _truth(dataset.ground_truth, rows)
    objects = dataset.summary["objects"]
    if isinstance(truth, CocoTruth):
        objects = len(truth.table)
    elif objects:  # of VOC's, whose annotations are in memory
        objects = sum(map(len, column(records, "categories")))
    summary = {"images": len(rows), "objects": objects}
    return replace(dataset, records=records, summary=summary, ground_truth=truth)


def _number(name: str) -> int:
    return int.from_bytes(hashlib.sha256(os.fsencode(name)).digest(), "big")


def _truth(truth: Any, rows: np.ndarray) -> Any:
    """The truth of the images `rows`: of COCO's kind, a list by image, or none beside the records."""
    if isinstance(truth, CocoTruth):
        return truth.take(rows)
    return [truth[row] for row in rows.tolist()] if isinstance(truth, list) else truth
