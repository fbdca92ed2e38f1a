"""Finds one object an image without labels, by LOST (Simeoni et al. 2021), and scores the boxes by CorLoc.

Patches of an object are few and alike, those of the background many: the seed is the patch that is similar
(of positive inner product) to the fewest, and its object are the patches that go along with those like it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor

from transfer.probes.checks import ProbeError, checked_features
from transfer.probes.protocols import LOST_PATCHES


def map_features(feature_map: Tensor) -> Tensor:
    """Gives the patches (H * W, D) of a convolutional map (D, H, W), of mean 0 and variance 1 over the map.

    A map behind a ReLU is not negative, so without it no two patches would be unlike. The keys of a
    transformer are used as they are, without class and register tokens.
    """
    patches = feature_map.flatten(1).T
    return torch.nn.functional.layer_norm(patches, patches.shape)


def object_box(
    features: Any, grid: tuple[int, int], size: tuple[int, int], patches: int = LOST_PATCHES
) -> tuple[float, float, float, float]:
    """Finds the box (x0, y0, x1, y1) in pixels of the object in an image.

    `features` (H * W, D) are those of the patches by rows, `grid` is (H, W), `size` (height, width) is in
    pixels: what the grid covers. Where the image was padded, that is with the padding; clip the box then.
    """
    rows = checked_features(features, "patches")
    if len(rows) != grid[0] * grid[1] or patches < 1:
        raise ProbeError(
            f"patches: {len(rows)}, expected {grid[0]} x {grid[1]}; give those of the grid alone"
        )
    alike = rows @ rows.T
    y0, x0, y1, x1 = _part(expanded(alike, patches).cpu().numpy().reshape(grid), seed_of(alike))
    high, wide = size[0] / grid[0], size[1] / grid[1]
    return x0 * wide, y0 * high, x1 * wide, y1 * high


def seed_of(alike: Tensor) -> int:
    """The patch with the fewest others of positive similarity, the first of equals, from products (P, P)."""
    return int(_by_degree(alike)[0])


def expanded(alike: Tensor, patches: int = LOST_PATCHES) -> Tensor:
    """Tells which patches (P,) belong to the seed's object, connected or not.

    They have a positive sum of similarities with the patches, among the `patches` of the lowest degree, that
    are similar to the seed.
    """
    order = _by_degree(alike)
    low = order[:patches]
    return alike[low[alike[order[0], low] > 0]].sum(0) > 0


def localised(boxes: Sequence[Any], truth: Sequence[Any]) -> np.ndarray:
    """(images with a true box,) 1.0 where the one box has IoU >= 0.5 with any of them (n, 4), else 0.0.

    The mean is CorLoc. Images without a true box do not count; there must be one that has.
    """
    if len(boxes) != len(truth):
        raise ProbeError(f"{len(boxes)} boxes for {len(truth)} images: expected one each")
    hits = [
        float((_overlap(np.asarray(box, float), np.asarray(true, float)) >= 0.5).any())
        for box, true in zip(boxes, truth, strict=True)
        if len(true)
    ]
    if not hits:
        raise ProbeError("CorLoc: no image has a true box; look at the annotations")
    return np.array(hits)


def _by_degree(alike: Tensor) -> Tensor:
    """The patches by rising number of others that they are similar to, the first of equals first."""
    return (alike > 0).sum(1).argsort(stable=True)  # each counts itself, which moves no order


def _part(mask: np.ndarray, seed: int) -> tuple[int, int, int, int]:
    """The bounds (top, left, bottom, right) of the connected part of the mask (H, W) that holds the seed."""
    parts, _ = ndimage.label(mask)  # neighbours share a side
    own = parts.flat[seed]
    if own == 0:
        raise ProbeError("patches: the seed is all 0 and like no other; look at the backbone's output")
    rows, columns = np.nonzero(parts == own)
    return rows.min(), columns.min(), rows.max() + 1, columns.max() + 1


def _overlap(box: np.ndarray, others: np.ndarray) -> np.ndarray:
    """IoU of a box (4,) with others (n, 4), continuous coordinates."""
    low, high = np.maximum(box[:2], others[:, :2]), np.minimum(box[2:], others[:, 2:])
    inner = np.maximum(high - low, 0).prod(1)
    area = (box[2] - box[0]) * (box[3] - box[1]) + (others[:, 2:] - others[:, :2]).prod(1)
    return inner / (area - inner)
