"""Reads from the values of a vision transformer who may have trained it: its order of sines and cosines."""

from __future__ import annotations

from collections.abc import Mapping
from math import isqrt

import numpy as np

from converters.containers.tensors import StoredTensor
from converters.errors import CheckpointError
from converters.models.sincos import sincos_mae, sincos_moco
from converters.networks.family import ASIDE
from converters.networks.vit_shapes import is_square

SINCOS_MAE, SINCOS_MOCO = "@sincos_mae", "@sincos_moco"
SATELLITE = "@satellite"  # DINOv3's ViT-L has a norm for small crops only in the one of satellite images
LOCAL_NORM = f"{ASIDE}local_cls_norm.weight"
CLOSE = 5e-3  # half precision and back; a learned table is away by more than 0.1


def signs(tensors: Mapping[str, StoredTensor]) -> frozenset[str]:
    """SATELLITE, SINCOS_MAE or SINCOS_MOCO; the last two need a zero row for the class token as well."""
    kernel = tensors.get("patch_embed.proj.weight")
    if LOCAL_NORM in tensors and kernel is not None and (kernel.shape or (0,))[0] == 1024:
        return frozenset({SATELLITE})
    return _sincos(tensors)


def _sincos(tensors: Mapping[str, StoredTensor]) -> frozenset[str]:
    stored = tensors.get("pos_embed")
    shape = stored.shape if stored is not None else None
    if stored is None or not shape or len(shape) != 3 or shape[2] % 4 or shape[1] < 2:
        return frozenset()
    if not is_square(shape[1] - 1):
        return frozenset()
    try:
        table = stored.array()[0].astype(np.float64)
    except CheckpointError:  # damage is told when the weights are read
        return frozenset()
    if np.abs(table[0]).max() > CLOSE:
        return frozenset()
    side, width = isqrt(shape[1] - 1), shape[2]
    orders = ((SINCOS_MAE, sincos_mae(side, width)), (SINCOS_MOCO, sincos_moco(side, width)))
    return frozenset(word for word, order in orders if np.abs(table[1:] - order).max() < CLOSE)
