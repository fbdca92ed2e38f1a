"""Makes records when they are asked for, and columns: facts of every record that training asks for first.

A data set need not exist as millions of Python objects, and looking through it (has this image an object, is
it wide) must not build its records, which takes minutes where the files are slow to read. The functions that
make records and columns must pickle (no closures), for processes and, on newer Pythons, data workers.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from functools import partial
from itertools import accumulate
from typing import Any, overload

import numpy as np

Record = dict[str, Any]
Column = np.ndarray  # (records,)
# Columns by name, of one data set: asked for one, it may give others that cost nothing more, or none.
Columns = Callable[[str], dict[str, Column]]

# Column -> (its value by a record in full, its type): the definition, and the slow way.
DEFINITIONS: dict[str, tuple[Callable[[Record], Any], Any]] = {
    "image_id": (lambda r: r["image_id"], object),
    "file_name": (lambda r: r["file_name"], object),
    "width": (lambda r: r["width"], np.int64),
    "height": (lambda r: r["height"], np.int64),
    "has_object": (lambda r: any(not a.get("iscrowd", 0) for a in r["annotations"]), bool),
    # Keypoints with visibility 1 or 2, those of crowds included.
    "labelled_keypoints": (
        lambda r: sum(v > 0 for a in r["annotations"] for v in a.get("keypoints", ())[2::3]),
        np.int64,
    ),
    "has_surface": (lambda r: any("dp_x" in a for a in r["annotations"]), bool),
    # The class of every annotation, crowds included: a list for each record.
    "categories": (lambda r: [a["category_id"] for a in r["annotations"]], object),
}


class LazyRecords(Sequence[Record]):
    """A sequence of dataset dicts; each access makes a new dict, which the caller may change.

    make: record by index. columns: columns by name, without making records. bare: a record without
        annotations by index; by default `make`, and they are taken out.
    """

    def __init__(
        self,
        length: int,
        make: Callable[[int], Record],
        columns: Columns | None = None,
        bare: Callable[[int], Record] | None = None,
    ):
        self._length, self._make, self._columns, self._bare = length, make, columns, bare
        self._known: dict[str, Column] = {}

    def __len__(self) -> int:
        return self._length

    @overload
    def __getitem__(self, index: int) -> Record: ...
    @overload
    def __getitem__(self, index: slice) -> LazyRecords: ...
    def __getitem__(self, index: int | slice) -> Record | LazyRecords:
        if isinstance(index, slice):
            return chosen(self, range(*index.indices(self._length)))
        i = index + self._length if index < 0 else index
        if not 0 <= i < self._length:
            raise IndexError(f"record {index} of {self._length}")
        return self._make(i)

    def column(self, name: str) -> Column:
        """As `column(records, name)`; computed once."""
        if name not in self._known and self._columns is not None:
            self._known.update(self._columns(name))
        if name not in self._known:
            self._known[name] = column_by_records(self, name)
        return self._known[name]

    def bare(self, i: int) -> Record:
        """Record i without annotations."""
        return _without_annotations(self._make(i)) if self._bare is None else self._bare(i)


def column(records: Sequence[Record], name: str) -> Column:
    """(records,) values of a column of DEFINITIONS; a LazyRecords may know it without making its records."""
    return records.column(name) if isinstance(records, LazyRecords) else column_by_records(records, name)


def column_by_records(records: Sequence[Record], name: str) -> Column:
    """As `column`, from each record in full."""
    of, kind = DEFINITIONS[name]
    values = np.empty(len(records), kind)
    for i, record in enumerate(records):
        values[i] = of(record)
    return values


def joined(parts: Sequence[Sequence[Record]]) -> Sequence[Record]:
    """The parts one after the other, as lazy as they are."""
    if len(parts) == 1:
        return parts[0]
    ends = list(accumulate(map(len, parts)))
    columns = partial(_column_of_parts, parts)
    return LazyRecords(ends[-1], partial(_of_part, parts, ends), columns, partial(_bare_of_part, parts, ends))


def chosen(records: Sequence[Record], indices: Sequence[int] | np.ndarray) -> LazyRecords:
    """The records at `indices`, as lazy as they are."""
    which = np.asarray(indices, np.int64)
    make, bare = partial(_at, records, which), partial(_bare_at, records, which)
    return LazyRecords(len(which), make, partial(_column_at, records, which), bare)


def without_truth(records: Sequence[Record]) -> LazyRecords:
    """The same records without annotations, which some data sets read from slow files."""
    return LazyRecords(len(records), partial(_bare, records), partial(_some_column, records))


def _without_annotations(record: Record) -> Record:
    return record | {"annotations": []}


def _bare(records: Sequence[Record], i: int) -> Record:
    return records.bare(i) if isinstance(records, LazyRecords) else _without_annotations(records[i])


def _some_column(records: Sequence[Record], name: str) -> dict[str, Column]:
    """Columns that do not come from annotations."""
    of_image = name in ("image_id", "file_name", "width", "height")
    return {name: column(records, name)} if of_image else {}


def _place(parts: Sequence[Sequence[Record]], ends: Sequence[int], i: int) -> tuple[Sequence[Record], int]:
    part = bisect_right(ends, i)
    return parts[part], i - ends[part] + len(parts[part])


def _of_part(parts: Sequence[Sequence[Record]], ends: Sequence[int], i: int) -> Record:
    records, index = _place(parts, ends, i)
    return records[index]


def _bare_of_part(parts: Sequence[Sequence[Record]], ends: Sequence[int], i: int) -> Record:
    return _bare(*_place(parts, ends, i))


def _column_of_parts(parts: Sequence[Sequence[Record]], name: str) -> dict[str, Column]:
    return {name: np.concatenate([column(part, name) for part in parts])}


def _at(records: Sequence[Record], indices: np.ndarray, i: int) -> Record:
    return records[int(indices[i])]


def _bare_at(records: Sequence[Record], indices: np.ndarray, i: int) -> Record:
    return _bare(records, int(indices[i]))


def _column_at(records: Sequence[Record], indices: np.ndarray, name: str) -> dict[str, Column]:
    return {name: column(records, name)[indices]}
