"""Masks as COCO run lengths, the form in which predictions carry them."""

from __future__ import annotations

from itertools import accumulate
from typing import Any

import numpy as np

from transfer.datasets.coco.rle import run_lengths
from transfer.errors import DataError


def encode(masks: np.ndarray) -> list[dict[str, Any]]:
    """(N, H, W) bool or 0/1 -> N dicts {"size": [H, W], "counts": bytes}."""
    from pycocotools import mask

    return [mask.encode(np.asfortranarray(m, dtype=np.uint8)) for m in masks]


def decode(rles: list[dict[str, Any]]) -> np.ndarray:
    """The inverse of `encode`: (N, H, W) bool."""
    from pycocotools import mask

    return np.array([mask.decode(r) for r in rles], bool)


def runs(rle: dict[str, Any]) -> list[tuple[int, int]]:
    """(start, end) of each run of a mask's pixels, which count down the columns. DataError for broken text.

    A mask covers a few columns of its image, which `decode` fills as a whole.
    """
    height, width = rle["size"]
    lengths = run_lengths(rle["counts"], height * width)
    if lengths is None:
        raise DataError(f"a mask of {width}x{height} is no valid compressed run-length text")
    edges = list(accumulate(lengths))
    return list(zip(edges[0::2], edges[1::2], strict=False))  # the last run may be background


def areas(rles: list[dict[str, Any]]) -> np.ndarray:
    """(N,) pixels of each mask."""
    from pycocotools import mask

    # In slices: with numpy 2, pycocotools 2.0.11 cannot count past 255 masks at once (it makes a uint8 of
    # their number).
    parts = [mask.area(rles[i : i + 255]) for i in range(0, len(rles), 255)]
    return np.concatenate([np.zeros(0, np.uint32), *parts])


def as_text(rle: dict[str, Any]) -> dict[str, Any]:
    """With `counts` as text, for JSON."""
    counts = rle["counts"]
    return {"size": list(rle["size"]), "counts": counts.decode() if isinstance(counts, bytes) else counts}
