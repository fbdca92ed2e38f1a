"""Opens a class map in the way that its data set stores it.

A VOC mask is a palette image whose *indices* are the classes; opened as grey it gives luminances, and a
network trains on those without any error. A Cityscapes mask holds label ids, which are not the 19 classes,
and an annotation of ADE20K the class plus one.
"""

from __future__ import annotations

import os
from collections.abc import Callable

import numpy as np

from transfer.datasets.ade20k import read_shifted
from transfer.datasets.cityscapes.class_map import read_label_ids
from transfer.datasets.voc_segmentation import read_indices

# `sem_seg_encoding` in the metadata of a data set -> how its masks are read
ENCODINGS: dict[str, Callable[[str | os.PathLike[str]], np.ndarray]] = {
    "index": read_indices,
    "cityscapes_ids": read_label_ids,
    "one_more": read_shifted,
}


def read_class_map(path: str | os.PathLike[str], encoding: str = "index") -> np.ndarray:
    """(H, W) uint8 classes from 0, and 255 where nothing is judged; `encoding` is a key of ENCODINGS.

    DataError, naming the file, if it is no such map.
    """
    return ENCODINGS[encoding](path)
