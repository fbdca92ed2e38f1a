"""Records made when they are asked for, so that a data set need not exist as millions of Python objects.

What makes them must pickle (no closures): processes and, on newer Pythons, data workers receive them so.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from functools import partial
from itertools import accumulate
from typing import Any, overload

import numpy as np

Record = dict[str, Any]


class LazyRecords(Sequence[Record]):
    """A sequence of dataset dicts; each access makes a new dict, which the caller may change."""

    def __init__(self, length: int, make: Callable[[int], Record]):
        self._length, self._make = length, make

    def __len__(self) -> int:
        return self._length

    @overload
    def __getitem__(self, index: int) -> Record: ...
    @overload
    def __getitem__(self, index: slice) -> list[Record]: ...
    def __getitem__(self, index: int | slice) -> Record | list[Record]:
        if isinstance(index, slice):
            return [self._make(i) for i in range(*index.indices(self._length))]
        i = index + self._length if index < 0 else index
        if not 0 <= i < self._length:
            raise IndexError(f"record {index} of {self._length}")
        return self._make(i)

    def __add__(self, other: Sequence[Record]) -> list[Record]:
        return [*self, *other]

    def __radd__(self, other: Sequence[Record]) -> list[Record]:
        return [*other, *self]


def joined(parts: Sequence[Sequence[Record]]) -> Sequence[Record]:
    """The parts one after the other, as lazy as they are."""
    if len(parts) == 1:
        return parts[0]
    ends = list(accumulate(map(len, parts)))
    return LazyRecords(ends[-1], partial(_of_part, parts, ends))


def chosen(records: Sequence[Record], indices: Sequence[int]) -> LazyRecords:
    """Those records alone, as lazy as they are."""
    return LazyRecords(len(indices), partial(_at, records, np.asarray(indices, np.int64)))


def _of_part(parts: Sequence[Sequence[Record]], ends: Sequence[int], i: int) -> Record:
    part = bisect_right(ends, i)
    return parts[part][i - ends[part] + len(parts[part])]


def _at(records: Sequence[Record], indices: np.ndarray, i: int) -> Record:
    return records[int(indices[i])]
