"""Prepares a public set: says what it takes, fetches, unpacks aside, checks, and then puts it into place."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from transfer.datasets.prepare.fetch import fetch
from transfer.datasets.prepare.sets import wanted
from transfer.datasets.prepare.unpack import staged, unpack
from transfer.datasets.prepare.wanted import Part, Wanted
from transfer.errors import DataError, TransferError
from transfer.process.alone import alone
from transfer.process.disk import writing

DOWNLOADS = "downloads"  # below the data root: files on their way
Say = Callable[[str], None]


def prepare(what: Wanted, root: Path, say: Say) -> str:
    """Makes sure that the set lies under `root`, and says in a line what it holds. `say` shows what is done.

    DataError where it cannot be: it must be fetched by hand, the disk is too small, no address gave it, or
    another thing lies in its place. Nothing half-made is then left but downloads, which the next call takes.
    One process at a time prepares a set; another one waits and finds it done.
    """
    root = Path(root).expanduser().absolute()
    if not _missing(what, root):  # needs no lock, for which a root that all share may give no right
        return _line(what, root, "is there already, ", [_there(part, root) for part in what.parts])
    if what.by_hand:
        first = what.parts[0].missing(root)
        raise DataError(
            f"{what.name}: cannot be downloaded; {what.by_hand} ({root / (first or what.places)[0]})"
        )
    with alone(root / f".{what.name}.lock", what.name):
        missing = _missing(what, root)
        for left in (root / DOWNLOADS).glob(f".{what.name}.*"):  # by a process that was killed
            shutil.rmtree(left, ignore_errors=True)
        found = {part: _there(part, root) for part in what.parts if part not in missing}
        if missing:
            say(f"{what.name}: {what.about}")
            say(_needs([what], root))
        for part in missing:
            found[part] = _fetched(what.name, part, root, say)
        how = "" if missing else "is there already, "
        return _line(what, root, how, [found[part] for part in what.parts])


def _missing(what: Wanted, root: Path) -> list[Part]:
    return [part for part in what.parts if part.missing(root)]


def _line(what: Wanted, root: Path, how: str, found: Sequence[str]) -> str:
    place = root / what.places[0] if len(what.places) == 1 else f"under {root}"
    return f"{what.name}: {how}{place}: {', '.join(found)}"


def _there(part: Part, root: Path) -> str:
    try:
        return part.check(root)
    except DataError as error:
        if not part.remotes:
            raise
        place = ", ".join(str(root / place) for place in part.places)
        raise DataError(f"{error}; {place} is in the way: move it aside to fetch the set") from None


def _fetched(name: str, part: Part, root: Path, say: Say) -> str:
    """Fetches, unpacks, checks and moves a part; returns what it holds. Its archives are gone then."""
    downloads = root / DOWNLOADS / name
    brought = {one.file for one in part.remotes if (downloads / one.file).exists()}
    archives = [fetch(remote, downloads, part.most) for remote in part.remotes]
    with staged(root / DOWNLOADS / f".{name}.{os.getpid()}") as aside:
        try:
            for remote, archive in zip(part.remotes, archives, strict=True):
                say(f"unpacking {archive}")
                unpack(remote, archive, aside, part.most)
            found = part.check(aside)
        except DataError as error:
            raise DataError(_wrong(error, part, downloads, brought)) from None
        missing = part.missing(root)
        for place in missing:
            with writing(root / place):
                (root / place).parent.mkdir(parents=True, exist_ok=True)
                (aside / place).rename(root / place)
    if len(missing) < len(part.places):  # some of it was there, and was not looked at
        found = _there(part, root)
    for archive in archives:
        with writing(archive):
            archive.unlink()
    with suppress(OSError):  # there is another part, or another set, in it
        downloads.rmdir()
        downloads.parent.rmdir()
    return found


def _wrong(error: DataError, part: Part, downloads: Path, brought: set[str]) -> str:
    """Removes what was fetched, and no hash vouches for; says what is wrong, and what to do."""
    says = str(error).partition("; remove it")[0]
    bad = [one.file for one in part.remotes if not one.proof[0] and one.file not in brought]
    for file in bad:
        (downloads / file).unlink()
    if len(bad) == len(part.remotes):
        return f"{says}; no hash of {', '.join(bad)} is published, and it is not the file: try again later"
    return f"{says}; what was fetched is in {downloads}: remove it to fetch it again"


def _needs(whats: Sequence[Wanted], root: Path) -> str:
    """Says what is fetched and how much disk it takes; DataError where that is not there.

    Archives are removed part by part, so that the largest alone comes on top of what stays.
    """
    parts = [(what, part) for what in whats for part in _missing(what, root)]
    files = [root / DOWNLOADS / what.name / f"{one.file}{end}"
             for what, part in parts for one in part.remotes for end in ("", ".part")]  # fmt: skip
    there = sum(path.stat().st_size for path in files if path.exists())
    fetched, stays = (sum(n) for n in zip(*((p.to_fetch, p.disk) for _, p in parts), strict=True))
    need = stays + max(max(part.to_fetch for _, part in parts) - there, 0)
    parent = next(path for path in (root, *root.parents) if path.exists())
    free = shutil.disk_usage(parent).free
    name = ", ".join(what.name for what in whats)
    says = (
        f"{name}: {_gb(fetched)} to fetch ({_gb(there)} are there), about {_gb(need)} of disk until it is "
        f"unpacked, {_gb(stays)} afterwards; {_gb(free)} are free under {root}"
    )
    if need > free:
        raise DataError(f"{says}; make room, or give another --data-root")
    return says


def _gb(size: int) -> str:
    return f"{size / 1e9:.2f} GB"


def prepare_all(chosen: Sequence[str], root: Path, say: Say) -> list[str]:
    """Prepares one after the other, what a set needs before it; returns a line for each that could not be."""
    root = Path(root).expanduser().absolute()
    whats: list[Wanted] = []
    failed = []
    for name in chosen:
        try:
            what = wanted(name)
            whats += [one for one in (*map(wanted, what.needs), what) if one not in whats]
        except TransferError as error:
            failed.append(str(error))
    try:
        absent = [what for what in whats if not what.by_hand and _missing(what, root)]
        if len(absent) > 1:
            say(_needs(absent, root))
    except TransferError as error:
        return [*failed, str(error)]
    for what in whats:
        try:
            say(prepare(what, root, say))
        except TransferError as error:
            failed.append(str(error))
    return failed
