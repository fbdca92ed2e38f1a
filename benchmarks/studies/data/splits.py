"""Splits pictures by groups of near duplicates, so that no scene is on both sides."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np

from benchmarks.studies.data.picture import Picture

NEAR = 5  # of 64 bits; pictures of one scene differ by a few, others by about 32


def draw(pictures: Sequence[Picture], count: int, salt: str) -> tuple[list[Picture], list[Picture]]:
    """(the others, at least `count` drawn pictures): whole groups of near duplicates, until there are enough.

    The order of the draw is that of SHA-256 of salt and name: the same on every machine, whatever is added.
    """
    groups = _groups(pictures)
    groups.sort(key=lambda group: _digest(salt, min(pictures[i].name for i in group)))
    drawn: set[int] = set()
    for group in groups:
        if len(drawn) >= count:
            break
        drawn.update(group)
    return (
        [picture for i, picture in enumerate(pictures) if i not in drawn],
        [picture for i, picture in enumerate(pictures) if i in drawn],
    )


def without_copies(train: Sequence[Picture], test: Sequence[Picture]) -> list[Picture]:
    """The training pictures that are no near duplicates of a test picture, where a set has its own lists."""
    both = [*train, *test]
    mixed = {i for group in _groups(both) if any(i >= len(train) for i in group) for i in group}
    return [picture for i, picture in enumerate(train) if i not in mixed]


def fingerprint(picture: Picture) -> np.ndarray:
    """(64,) bool: whether brightness rises from column to column of the picture at 9 x 8 pixels (dHash)."""
    small = np.asarray(picture.load().convert("L").resize((9, 8), 1), np.int16)
    return (small[:, 1:] > small[:, :-1]).ravel()


def _groups(pictures: Sequence[Picture]) -> list[list[int]]:
    """Positions of pictures that are near duplicates, directly or through others."""
    if not pictures:
        return []
    bits = np.stack([fingerprint(picture) for picture in pictures]).astype(np.int32)
    apart = bits.sum(1)[:, None] + bits.sum(1)[None] - 2 * bits @ bits.T  # (N, N) bits that differ
    group = np.arange(len(pictures))
    for one, other in np.argwhere(np.triu(apart <= NEAR, 1)):
        group[group == group[other]] = group[one]
    return [np.flatnonzero(group == g).tolist() for g in np.unique(group)]


def _digest(salt: str, name: str) -> str:
    return hashlib.sha256(f"{salt}/{name}".encode()).hexdigest()
