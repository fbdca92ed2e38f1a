"""COCO's run-length text, read with bounds: pycocotools trusts the text and writes where it leads."""

from __future__ import annotations

from typing import Any


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


def compressed(rle: dict[str, Any]) -> dict[str, Any]:
    """A run-length dict with `counts` as bytes, whatever form the file had."""
    from pycocotools import mask

    if isinstance(rle["counts"], list):
        return mask.frPyObjects(rle, *rle["size"])
    counts = rle["counts"]
    return {"size": list(rle["size"]), "counts": counts.encode() if isinstance(counts, str) else counts}
