"""Reads Cityscapes' label ids as class maps: masks hold ids of 34 labels, networks learn 19 classes."""

from __future__ import annotations

import os

import numpy as np

from transfer.datasets.cityscapes.labels import TRAIN_ID_OF
from transfer.datasets.cityscapes.polygons import draw_polygons
from transfer.datasets.mask_images import read_mask
from transfer.errors import DataError


def read_label_ids(path: str | os.PathLike[str]) -> np.ndarray:
    """(H, W) uint8 training classes of a labelIds.png or a polygons.json, 255 where nothing is judged.

    DataError if the file is neither, or holds ids that Cityscapes does not have.
    """
    if str(path).endswith(".json"):
        return TRAIN_ID_OF[draw_polygons(str(path), numbered=False)]
    ids = read_mask(path)
    if ids.max(initial=0) >= len(TRAIN_ID_OF):
        raise DataError(
            f"{path}: label id {ids.max()}; expected 0..{len(TRAIN_ID_OF) - 1}, are these train ids?"
        )
    return TRAIN_ID_OF[ids]
