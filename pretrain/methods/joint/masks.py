"""Draws block-wise masks of patches (BEiT, arXiv 2106.08254, algorithm 1; iBOT, section 4.1)."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable

import numpy as np

ASPECT = 0.3  # of a block: between it and its inverse
TRIES = 10  # for a block that covers something new

Draw = Callable[[], float]  # the next number of [0, 1)
Shares = tuple[tuple[float, float], ...]  # of the patches that are masked, each with its largest deviation


def shares(text: str) -> Shares:
    """Reads shares written as `0+0.3~0.2`: none, or 0.1 to 0.5. Raises ValueError for any other text."""
    found = []
    for part in text.split("+"):
        share, _, spread = part.partition("~")
        found.append((float(share), float(spread or 0)))
    if not all(0 <= spread <= share and share + spread < 1 for share, spread in found):
        raise ValueError
    if not any(share for share, _ in found):
        raise ValueError
    return tuple(found)


def read_shares(text: str) -> str:
    """Reads the text of a flag, which stays a text."""
    try:
        shares(text)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"expected shares of patches between 0 and 1, not all 0, as in 0+0.3~0.2, got {text!r}"
        ) from None
    return text


def drawn(seed: int, place: int, side: int, wanted: Shares, count: int) -> np.ndarray:
    """Draws `count` masks of one image, bool count x side x side, by a stream of numbers of its own."""
    draw = np.random.Generator(np.random.Philox(key=[seed, place])).random
    return np.stack([blocks(draw, side, chosen(draw, wanted) * side**2) for _ in range(count)])


def chosen(draw: Draw, wanted: Shares) -> float:
    """Draws the share of one view: one of several, all of which are equally likely."""
    found = [between(draw, share - spread, share + spread) if spread else share for share, spread in wanted]
    return found[int(draw() * len(found))]


def between(draw: Draw, low: float, high: float) -> float:
    return low + (high - low) * draw()


def blocks(draw: Draw, side: int, wanted: float) -> np.ndarray:
    """Masks blocks of a square map until `wanted` patches are hidden or no block fits, bool side x side.

    Never more are hidden. A block has at least a ninth of the map where so much is still to be hidden.
    """
    mask = np.zeros((side, side), bool)
    hidden = 0
    while hidden < wanted:
        for _ in range(TRIES):
            if new := _block(draw, mask, wanted - hidden):
                hidden += new
                break
        else:
            break
    return mask


def _block(draw: Draw, mask: np.ndarray, most: float) -> int:
    """Hides one block of at most `most` new patches in place; returns their number, 0: it does not fit."""
    side = len(mask)
    area = between(draw, (side // 3) ** 2, most)
    aspect = math.exp(between(draw, math.log(ASPECT), -math.log(ASPECT)))
    height, width = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
    if height >= side or width >= side:
        return 0
    top, left = (int(draw() * (side - length + 1)) for length in (height, width))
    block = mask[top : top + height, left : left + width]
    new = int(block.size - block.sum())
    if not 0 < new <= most:
        return 0
    block[:] = True
    return new
