"""Reads CIFAR-10 and CIFAR-100 from their binary batches; nothing is unpickled.

A record is one byte (CIFAR-100: the coarse, then the fine label) and 3,072 of pixels. The id of an image is
its number in the split, in the order of the batches, which is that of the pickled version too.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np

from transfer.datasets.image_list.images import SIDE
from transfer.datasets.image_list.public.row import Entry, Listing, lines
from transfer.errors import DataError

_PIXELS = 3 * SIDE * SIDE
_TEN = [f"data_batch_{number}.bin" for number in range(1, 6)]


def _read(root: Path, seed: int, names: str, train: Sequence[str], test: str, labels: int) -> Listing:
    classes = tuple(lines(root / names))
    parts = {}
    for part, files in (("train", train), ("test", [test])):
        parts[part] = [entry for file in files for entry in _records(root, file, labels, len(classes))]
        parts[part] = [entry._replace(id=f"{part}/{i:05d}") for i, entry in enumerate(parts[part])]
    return Listing(classes, parts)


def _records(root: Path, file: str, labels: int, classes: int) -> list[Entry]:
    path, size = root / file, labels + _PIXELS
    try:
        raw = np.fromfile(path, np.uint8)
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}; restore the file") from None
    if not len(raw) or len(raw) % size:
        raise DataError(f"{path}: {len(raw)} bytes are no whole records of {size}; take the file anew")
    known = raw[labels - 1 :: size]
    if known.max() >= classes:
        raise DataError(
            f"{path}: a record has the class {known.max()} of {classes}; the file is not the set's own: take "
            "it anew"
        )
    return [Entry("", file, int(c), str(i * size + labels)) for i, c in enumerate(known.tolist())]


read_cifar10 = partial(_read, names="batches.meta.txt", train=_TEN, test="test_batch.bin", labels=1)
read_cifar100 = partial(_read, names="fine_label_names.txt", train=["train.bin"], test="test.bin", labels=2)
