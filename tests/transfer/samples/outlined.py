"""Draws a smooth image with objects of every kind of outline, and compares masks with Detectron2's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from pycocotools import mask

from transfer.samples.sample import Sample

HEIGHT, WIDTH = 90, 140
# A square, a concave outline, one of two pieces, one that crosses itself, and one in a corner.
OUTLINES = [
    [[20.0, 10, 60, 10, 60, 50, 20, 50]],
    [[70.0, 5, 130, 5, 130, 80, 110, 80, 110, 25, 90, 25, 90, 80, 70, 80]],
    [[5.0, 60, 15, 60, 15, 85, 5, 85], [30.0, 60, 55, 70, 30, 85]],
    [[60.0, 55, 95, 85, 95, 55, 60, 85]],
    [[132.0, 84, 139, 84, 139, 89, 132, 89]],
]


def outlined_record(path: Path, coded: bool) -> dict[str, Any]:
    """Writes the image and gives its record; `coded`: masks are run lengths, else polygons."""
    rng = np.random.default_rng(0)
    small = Image.fromarray(rng.integers(0, 256, (18, 28, 3), dtype=np.uint8))
    small.resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC).save(path)
    annotations = []
    for number, polygons in enumerate(OUTLINES):
        points = np.concatenate([np.reshape(p, (-1, 2)) for p in polygons])
        annotations.append(
            {
                "bbox": [*points.min(axis=0), *points.max(axis=0)],
                "bbox_mode": 0,
                "category_id": number,
                "iscrowd": 0,
                "segmentation": merged(polygons, (HEIGHT, WIDTH)) if coded else polygons,
            }
        )
    return {
        "file_name": str(path),
        "image_id": "a",
        "height": HEIGHT,
        "width": WIDTH,
        "annotations": annotations,
    }


def merged(polygons: Any, size: tuple[int, ...]) -> Any:
    """The run lengths of an object's polygons."""
    return mask.merge(mask.frPyObjects([np.asarray(p).tolist() for p in polygons], *size))


def drawn(shape: Any, size: tuple[int, ...]) -> np.ndarray:
    """(H, W) bool: the pixels of a sample's mask."""
    found: np.ndarray = mask.decode(shape if isinstance(shape, dict) else merged(shape, size)).astype(bool)
    return found


def assert_masks(ours: Sample, theirs: Any) -> None:
    """A sample's masks are Detectron2's but for a thousandth of the pixels."""
    size = tuple(ours.image.shape[-2:])
    assert ours.polygons is not None
    wanted = (
        [drawn(polygons, size) for polygons in theirs.polygons]
        if hasattr(theirs, "polygons")
        else list(theirs.tensor.numpy())
    )
    for mine, other in zip(ours.polygons, wanted, strict=True):
        assert (drawn(mine, size) != other).mean() <= 1e-3
