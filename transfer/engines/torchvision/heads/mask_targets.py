"""What a mask head is trained on: the object's mask, drawn into a grid over each region."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torchvision.ops import roi_align

from transfer.samples.masks_and_keypoints import Shape

SMALLEST = 0.1  # pixels; a thinner region is not scaled any further


def rasterise(shapes: Sequence[Shape] | None, boxes: Tensor, index: Tensor, size: int) -> Tensor:
    """(F, size, size) bool: the mask of object index[f] within boxes[f], (F, 4), all on the CPU.

    Polygons are scaled into the region and drawn with COCO's rasteriser; run-length masks are cropped with
    RoIAlign and cut at 0.5. Both as Detectron2 does it for its two mask formats.
    """
    assert shapes is not None, "a mask head needs samples with polygons"
    if len(index) == 0:
        return torch.zeros(0, size, size, dtype=torch.bool)
    chosen = [shapes[i] for i in index.tolist()]
    polygons = [f for f, shape in enumerate(chosen) if isinstance(shape, list)]
    out = np.zeros((len(chosen), size, size), bool)
    if polygons:
        out[polygons] = _draw([chosen[f] for f in polygons], boxes[polygons].numpy(), size)
    regions_of: dict[int, list[int]] = defaultdict(list)
    for f, i in enumerate(index.tolist()):
        if not isinstance(shapes[i], list):
            regions_of[i].append(f)
    for i, regions in regions_of.items():
        out[regions] = _crop(shapes[i], boxes[regions], size)
    return torch.from_numpy(out)


def _draw(shapes: Sequence[Any], boxes: np.ndarray, size: int) -> np.ndarray:
    """(F, size, size) bool of polygons.

    All points are moved at once, and all polygons drawn and read back in one call each.
    """
    from pycocotools import mask

    boxes = boxes.astype(np.float32)
    corner = boxes[:, :2]
    scale = size / np.maximum(boxes[:, 2:] - corner, np.float32(SMALLEST))  # in single precision, as there
    counts = [len(polygons) for polygons in shapes]
    flat = [polygon for polygons in shapes for polygon in polygons]
    owner = np.repeat(np.arange(len(shapes)), counts)
    lengths = np.array([len(p) for p in flat]) // 2
    points = np.concatenate([p for p in flat]).reshape(-1, 2)
    of_point = np.repeat(owner, lengths)
    moved = (points - corner[of_point]) * scale[of_point]
    parts = np.split(moved.ravel(), np.cumsum(lengths * 2)[:-1])
    drawn = mask.frPyObjects(parts, size, size)
    whole, at = [], 0
    for n in counts:
        whole.append(drawn[at] if n == 1 else mask.merge(drawn[at : at + n]))
        at += n
    return mask.decode(whole).transpose(2, 0, 1).astype(bool)


def _crop(rle: Any, boxes: Tensor, size: int) -> np.ndarray:
    """(F, size, size) bool: regions of one run-length mask."""
    from pycocotools import mask

    bitmap = torch.from_numpy(np.ascontiguousarray(mask.decode(rle))).float()[None, None]
    return (roi_align(bitmap, [boxes.float()], size, 1.0, 0, aligned=True)[:, 0] >= 0.5).numpy()
