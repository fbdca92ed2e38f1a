"""Lists all public sets by name, reads one, and refuses a copy that is not what the papers used."""

from __future__ import annotations

import difflib
from collections import Counter
from pathlib import Path

import numpy as np

from converters.command import spelled
from transfer.datasets.image_list.images import LabelledImages, Place, labelled
from transfer.datasets.image_list.parts import Task
from transfer.datasets.image_list.public import imagenet_rows, other_rows, small_rows
from transfer.datasets.image_list.public.row import Entry, Listing, Row, missing
from transfer.datasets.image_list.task import make_task
from transfer.errors import DataError

ROWS: dict[str, Row] = {row.name: row for row in (*small_rows.ROWS, *other_rows.ROWS, *imagenet_rows.ROWS)}


def set_names() -> list[str]:
    """Names of all public sets of labelled images, in a stable order."""
    return list(ROWS)


def row_of(name: str) -> Row:
    """The row of a name; DataError with the nearest names for an unknown one."""
    if name not in ROWS:
        near = difflib.get_close_matches(name, ROWS, n=3, cutoff=0.5)
        hint = f"did you mean {' or '.join(near)}?" if near else f"known: {', '.join(ROWS)}"
        raise DataError(f"unknown set of labelled images {name!r}; {hint}")
    return ROWS[name]


def load_set(name: str, root: Path, split_seed: int = 0) -> Task:
    """Reads, checks and hashes a public set. DataError says in one line what is missing or wrong.

    split_seed: of the sets whose split is drawn (Caltech-101, EuroSAT); another seed is another content.
    """
    row = row_of(name)
    parts = read_parts(row, root, split_seed)
    split = f"{row.drawn_split}, drawn with seed {split_seed}" if row.drawn_split else ""
    return make_task(row.name, parts, row.hold, row.metric, split)


def read_parts(row: Row, root: Path, split_seed: int = 0) -> dict[str, LabelledImages]:
    """The lists `train`, `val` (where the set has one) and `test`, complete and consistent, else DataError.

    All files must be there, which is seen without opening them.
    """
    folder = Path(root).expanduser().absolute() / row.folder
    if not folder.is_dir():
        raise DataError(
            f"{row.name}: {folder} is missing; expected under {root}: {', '.join(row.layout)}; "
            f"get it with: {spelled('transfer.datasets', f'prepare {row.name} --data-root {root}')}"
        )
    listing = row.read(folder, split_seed)
    _check(row, folder, listing)
    return {part: _list(row, folder, listing.classes, part, e) for part, e in listing.parts.items()}


def _list(
    row: Row, folder: Path, classes: tuple[str, ...], part: str, entries: list[Entry]
) -> LabelledImages:
    places = [Place(str(folder / entry.file), entry.member) for entry in entries]
    labels = np.array([entry.label for entry in entries])
    return labelled(f"{row.name}/{part}", classes, [entry.id for entry in entries], places, labels)


def _check(row: Row, folder: Path, listing: Listing) -> None:
    if len(listing.classes) != row.classes:
        raise DataError(
            f"{row.name}: {folder} has {len(listing.classes)} classes; expected {row.classes}; get it anew"
        )
    for part, entries in listing.parts.items():
        if len(entries) != row.counts[part]:
            raise DataError(
                f"{row.name}: {part} has {len(entries)} images; expected {row.counts[part]}; {folder} "
                "is not the set, or not the whole of it: get it anew"
            )
        many = row.per_class.get(part)
        counts = Counter(entry.label for entry in entries) if many else {}
        for label in range(row.classes) if many else ():
            if counts[label] != many:
                raise DataError(
                    f"{row.name}: {part} has {counts[label]} images of class {listing.classes[label]}; "
                    f"expected {many} of each; the lists in {folder} are not the set's own: get it anew"
                )
    absent = missing(folder, (entry.file for entries in listing.parts.values() for entry in entries))
    if absent:
        more = f" (and {len(absent) - 1} more files)" if len(absent) > 1 else ""
        raise DataError(f"{row.name}: {folder / absent[0]} is missing{more}; unpack the archive again")
