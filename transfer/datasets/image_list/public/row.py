"""Defines the row of a public set: how it is read, what must then be there, and where it comes from."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from transfer.datasets.files import listing
from transfer.datasets.image_list.parts import Hold
from transfer.errors import DataError


class Entry(NamedTuple):
    """One image of a published list: its id, file below the set's folder, label (or labels), and member."""

    id: str
    file: str
    label: int | tuple[int, ...]
    member: str = ""


@dataclass(frozen=True)
class Listing:
    """A set as its own lists say: the classes, and the images of each part."""

    classes: tuple[str, ...]
    parts: Mapping[str, list[Entry]]


@dataclass(frozen=True)
class Remote:
    """A file that is downloaded: its addresses, of which any will do, and what proves it.

    An address `hub:PATH` lies on the hub of $HF_ENDPOINT. size: bytes, 0 where none is published. into: the
    folder below the data root that it is unpacked into, or put into. rename: a path's beginning in the
    archive and what it becomes. inner: archives within, which alone are unpacked. flat: all files go straight
    into the folder, whatever folders the archive has.
    """

    file: str
    addresses: tuple[str, ...]
    into: str
    size: int = 0
    sha256: str = ""
    md5: str = ""
    rename: tuple[str, str] = ("", "")
    inner: tuple[str, ...] = ()
    flat: bool = False
    sha1: str = ""

    @property
    def proof(self) -> tuple[str, str]:
        """(kind, value) of the strongest published hash, both empty where there is none."""
        kinds = ((kind, getattr(self, kind)) for kind in ("sha256", "md5", "sha1"))
        return next((one for one in kinds if one[1]), ("", ""))


def mirrors(places: Iterable[str], file: str) -> tuple[str, ...]:
    """The addresses of a file that several places have."""
    return tuple(f"{place}/{file}" for place in places)


# The folder of the set and the seed of its split come in. DataError says what is wrong with the lists.
Read = Callable[[Path, int], Listing]


@dataclass(frozen=True)
class Row:
    """A public set of labelled images.

    folder: below the data root, as torchvision lays it out where it has the set. counts: images of each
    part. per_class: images of every class, of those parts where all have as many. hold: what is held out
    of train where there is no val. drawn_split: where nothing official says what is trained and tested on,
    what is done instead; a seed is then part of it. by_hand: what to do where nothing can be downloaded.
    disk: bytes of the unpacked set, roughly. traps: what the reader takes care of.
    """

    name: str
    says: str
    folder: str
    read: Read
    classes: int
    counts: Mapping[str, int]
    metric: str
    source: str
    licence: str
    traps: str
    layout: tuple[str, ...]
    per_class: Mapping[str, int] = field(default_factory=dict)
    hold: Hold = Hold()
    drawn_split: str = ""
    remotes: tuple[Remote, ...] = ()
    by_hand: str = ""
    disk: int = 0


def lines(path: Path) -> list[str]:
    """The lines of a list, without blank ones; DataError where it is missing or no text."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}; restore the file") from None
    except UnicodeDecodeError:
        raise DataError(f"{path}: no UTF-8 text; restore the file") from None
    return [line.strip() for line in text.splitlines() if line.strip()]


def words(path: Path, count: int, what: str) -> list[list[str]]:
    """The lines of a list as `count` words each; DataError for another line."""
    found = [line.split() for line in lines(path)]
    for number, row in enumerate(found, 1):
        if len(row) != count:
            raise DataError(
                f"{path}: line {number} has {len(row)} words; expected {count}: {what}; take the file anew"
            )
    return found


def scrambled(path: Path, what: str) -> DataError:
    """The error of lists that contradict each other or the names of the files."""
    return DataError(f"{path}: {what}; the list is not the set's own: take it anew")


def missing(root: Path, files: Iterable[str]) -> list[str]:
    """Those of the files below `root` that are not there, by one listing of each folder."""
    there: dict[str, set[str]] = {}
    absent = []
    for file in files:
        folder, name = os.path.split(file)
        if folder not in there:
            path = root / folder
            there[folder] = listing(path) if path.is_dir() else set()
        if name not in there[folder]:
            absent.append(file)
    return absent
