"""Converts COCO's run lengths: the form of a mask in annotation files, in predictions and in result files.

The text of a foreign file is read here, with bounds: pycocotools trusts it and writes where it leads.
"""

from __future__ import annotations

from itertools import accumulate
from typing import Any

import numpy as np

from transfer.errors import DataError


def encode(masks: np.ndarray) -> list[dict[str, Any]]:
    """(N, H, W) bool or 0/1 -> N dicts {"size": [H, W], "counts": bytes}."""
    from pycocotools import mask

    return [mask.encode(np.asfortranarray(m, dtype=np.uint8)) for m in masks]


def decode(rles: list[dict[str, Any]]) -> np.ndarray:
    """The inverse of `encode`: (N, H, W) bool."""
    from pycocotools import mask

    return np.array([mask.decode(r) for r in rles], bool)


def run_lengths(counts: str | bytes, pixels: int) -> list[int] | None:
    """Run lengths of a compressed mask, background first; None unless they are valid and add up to `pixels`.

    Six bits a character from code 48, low five bits first, bit five says more follow, sign extended; from
    the third run on, the difference to the run two before is stored.
    """
    data = counts.encode("utf-8", "replace") if isinstance(counts, str) else counts
    runs: list[int] = []
    at, total = 0, 0
    while at < len(data):
        value, shift, more = 0, 0, True
        while more:
            if at >= len(data) or shift > 60:
                return None
            c = data[at] - 48
            if not 0 <= c < 64:
                return None
            value |= (c & 31) << shift
            more = bool(c & 32)
            shift += 5
            at += 1
            if not more and c & 16:
                value -= 1 << shift
        if len(runs) > 2:
            value += runs[-2]
        total += value
        if value < 0 or total > pixels:
            return None
        runs.append(value)
    return runs if total == pixels else None


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

    # In slices: pycocotools 2.0.11 makes a uint8 of their number, which under numpy 2 ends at 255 masks.
    parts = [mask.area(rles[i : i + 255]) for i in range(0, len(rles), 255)]
    return np.concatenate([np.zeros(0, np.uint32), *parts])


def compressed(rle: dict[str, Any]) -> dict[str, Any]:
    """The mask with `counts` as bytes, whatever form the file had: a list of lengths, text or bytes."""
    from pycocotools import mask

    if isinstance(rle["counts"], list):
        return mask.frPyObjects(rle, *rle["size"])
    counts = rle["counts"]
    return {"size": list(rle["size"]), "counts": counts.encode() if isinstance(counts, str) else counts}


def whole_mask(shape: list[list[float]] | dict[str, Any], size: tuple[int, int]) -> dict[str, Any]:
    """The mask of an annotation in an image of (height, width): its polygons as one, or its run lengths."""
    from pycocotools import mask

    if isinstance(shape, dict):
        return compressed(shape)
    if not shape:
        return encode(np.zeros((1, *size), bool))[0]
    return mask.merge(mask.frPyObjects(shape, *size))


def as_text(rle: dict[str, Any]) -> dict[str, Any]:
    """The mask with `counts` as text, for JSON."""
    counts = rle["counts"]
    return {"size": list(rle["size"]), "counts": counts.decode() if isinstance(counts, bytes) else counts}
