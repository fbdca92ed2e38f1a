"""Prepares a public set: says what it takes, fetches, unpacks aside, checks, and then puts it into place."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from transfer.datasets.image_list.public import revisited
from transfer.datasets.image_list.public.row import Remote
from transfer.datasets.image_list.public.table import ROWS, read_parts, row_of
from transfer.datasets.prepare.fetch import fetch
from transfer.datasets.prepare.unpack import staged, unpack
from transfer.errors import DataError, TransferError
from transfer.process.alone import alone
from transfer.process.disk import writing

DOWNLOADS = "downloads"  # below the data root: files on their way


@dataclass(frozen=True)
class Wanted:
    """Says what is prepared: its folder below the data root, its files, and the check of a root that has it.

    about: what it is, whose, and on which terms. disk: bytes of the unpacked set. check: returns what it
    found in one line; DataError for what is not the set. by_hand: what to do where nothing can be downloaded.
    """

    name: str
    folder: str
    remotes: tuple[Remote, ...]
    disk: int
    check: Callable[[Path], str]
    about: str = ""
    by_hand: str = ""


def names() -> list[str]:
    """Names of all sets that `prepare` knows."""
    return [*ROWS, *revisited.SETS]


def wanted(name: str) -> Wanted:
    """Says what a name stands for; DataError with the nearest names for an unknown one."""
    if name in revisited.SETS:
        remotes, about = (
            revisited.REMOTES[name],
            "buildings; filipradenovic/revisitop; licence: images Flickr's",
        )
        return Wanted(name, name, remotes, 2_500_000_000, lambda root: _retrieval(name, root), about)
    row = row_of(name)

    def check(root: Path) -> str:
        return ", ".join(f"{part} {len(images)}" for part, images in read_parts(row, root).items())

    about = f"{row.says}; {row.source}; licence: {row.licence}"
    return Wanted(name, row.folder, row.remotes, row.disk, check, about, row.by_hand)


def prepare(what: Wanted, root: Path, say: Callable[[str], None]) -> str:
    """Makes sure that the set lies under `root`, and says in a line what it holds. `say` shows what is done.

    DataError where it cannot be: it must be fetched by hand, the disk is too small, no address gave it, or
    another thing lies in its place. Nothing half-made is then left but downloads, which the next call takes.
    One process at a time prepares a set; another one waits and finds it done.
    """
    root = Path(root).expanduser().absolute()
    place = root / what.folder
    if place.exists():  # needs no lock, for which a root that all share may give no right
        return _there(what, root, place)
    if not what.remotes:
        raise DataError(f"{what.name}: cannot be downloaded; {what.by_hand} ({place})")
    with alone(root / f".{what.name}.lock", what.name):
        if place.exists():
            return _there(what, root, place)
        for left in (root / DOWNLOADS).glob(f".{what.name}.*"):  # by a process that was killed
            shutil.rmtree(left, ignore_errors=True)
        return _fetched(what, root, place, say)


def _there(what: Wanted, root: Path, place: Path) -> str:
    try:
        return f"{what.name}: is there already, {place}: {what.check(root)}"
    except DataError as error:
        if not what.remotes:
            raise
        raise DataError(f"{error}; {place} is in the way: move it aside to fetch the set") from None


def _fetched(what: Wanted, root: Path, place: Path, say: Callable[[str], None]) -> str:
    downloads = root / DOWNLOADS / what.name
    say(f"{what.name}: {what.about}")
    say(_needs(what, root, downloads))
    archives = [fetch(remote, downloads) for remote in what.remotes]
    with staged(root / DOWNLOADS / f".{what.name}.{os.getpid()}") as aside:
        for remote, archive in zip(what.remotes, archives, strict=True):
            say(f"unpacking {archive}")
            unpack(remote, archive, aside)
        try:
            found = what.check(aside)
        except DataError as error:
            raise DataError(
                f"{error}; what was fetched is in {downloads}: remove it to fetch it again"
            ) from None
        with writing(place):
            place.parent.mkdir(parents=True, exist_ok=True)
            (aside / what.folder).rename(place)
    shutil.rmtree(downloads)
    with suppress(OSError):  # there is another set in it
        downloads.parent.rmdir()
    return f"{what.name}: {place}: {found}"


def _needs(what: Wanted, root: Path, downloads: Path) -> str:
    """Says what is fetched and how much disk it takes; DataError where that is not there."""
    there = sum(path.stat().st_size for path in downloads.iterdir()) if downloads.is_dir() else 0
    fetched = sum(remote.size for remote in what.remotes) or what.disk
    need = max(fetched - there, 0) + what.disk
    parent = next(path for path in (root, *root.parents) if path.exists())
    free = shutil.disk_usage(parent).free
    says = (
        f"{what.name}: {_gb(fetched)} to fetch ({_gb(there)} are there), about {_gb(need)} of disk until it "
        f"is unpacked, {_gb(what.disk)} afterwards; {_gb(free)} are free under {root}"
    )
    if need > free:
        raise DataError(f"{says}; make room, or give another --data-root")
    return says


def _gb(size: int) -> str:
    return f"{size / 1e9:.2f} GB"


def _retrieval(name: str, root: Path) -> str:
    counts = revisited.load_retrieval(name, root).summary
    return f"images {counts['images']}, queries {counts['queries']}"


def prepare_all(chosen: Sequence[str], root: Path, say: Callable[[str], None]) -> list[str]:
    """Prepares one after the other; returns a line for each that could not be."""
    failed = []
    for name in chosen:
        try:
            say(prepare(wanted(name), root, say))
        except TransferError as error:
            failed.append(str(error))
    return failed
