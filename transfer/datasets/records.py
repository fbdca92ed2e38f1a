"""Records made when they are asked for, so that a data set need not exist as millions of Python objects."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, overload

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
