"""Copies and hashes the files of a bundle in pieces, and reads and writes it as a folder."""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Mapping
from pathlib import Path
from typing import IO

from results.bundle.index import INDEX, Entry, Index, index_bytes, read_index
from results.errors import RecordError

Source = Path | bytes  # a file where it lies, or its content
_PIECE = 2**20


def entry_of(source: Source) -> Entry:
    """The size and SHA-256 of a source."""
    with open_source(source) as stream:
        return copy(stream, None)


def open_source(source: Source) -> IO[bytes]:
    """The source as a stream."""
    return io.BytesIO(source) if isinstance(source, bytes) else open(source, "rb")


def copy(stream: IO[bytes], target: IO[bytes] | None, most: int | None = None) -> Entry:
    """Reads the stream to its end, into the target where there is one; returns what it was.

    No more than `most` bytes and one are read: a stream that goes on is longer than it should be.
    """
    digest, size = hashlib.sha256(), 0
    while most is None or size <= most:
        piece = stream.read(_PIECE if most is None else min(_PIECE, most + 1 - size))
        if not piece:
            break
        digest.update(piece)
        size += len(piece)
        if target is not None:
            target.write(piece)
    return Entry(digest.hexdigest(), size)


def copy_as(stream: IO[bytes], target: IO[bytes], entry: Entry, name: str) -> None:
    """Copies what must be the entry. RecordError: it changed since it was looked at."""
    if copy(stream, target, entry.size) != entry:
        raise changed(name)


def changed(name: str) -> RecordError:
    """The error of a file that is not what it was a moment ago."""
    return RecordError(f"{name} changed while it was read; stop what writes to it and try again")


def write_folder(folder: Path, index: Index, sources: Mapping[str, Source]) -> None:
    """Writes index and files into a new folder."""
    folder.mkdir(parents=True)
    (folder / INDEX).write_bytes(index_bytes(index))
    for name, entry in index.files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        with open_source(sources[name]) as stream, open(folder / name, "xb") as target:
            copy_as(stream, target, entry, name)


def look_at_folder(folder: Path) -> tuple[Index, list[str]]:
    """The index of a bundle that is a folder, and all that is not as the index has it."""
    try:
        index = read_index((folder / INDEX).read_bytes(), str(folder / INDEX))
    except OSError as error:
        raise RecordError(f"{folder / INDEX}: {error.strerror}; a bundle has an index") from None
    problems = [f"{INDEX}: a link; a bundle holds none"] if (folder / INDEX).is_symlink() else []
    there = {name for name in _names(folder) if name != INDEX}
    for name, entry in index.files.items():
        if name not in there:
            problems.append(f"{name}: in the index, but the file is gone")
        elif (folder / name).is_symlink() or not (folder / name).is_file():
            problems.append(f"{name}: not a plain file; a bundle holds no links")
        elif entry_of(folder / name) != entry:
            problems.append(altered(name))
    problems += [f"{name}: not in the index; it was added" for name in sorted(there - index.files.keys())]
    return index, problems


def altered(name: str) -> str:
    """The line for a file that is not what the index has."""
    return f"{name}: its bytes are not those of the index (SHA-256); fetch the bundle again"


def _names(folder: Path) -> list[str]:
    """All that is no folder, links to folders too, and folders that hold nothing."""
    found = []
    for above, folders, files in os.walk(folder):
        here = Path(above).relative_to(folder)
        links = [name for name in folders if (Path(above) / name).is_symlink()]
        found += [(here / name).as_posix() for name in files + links]
        if not folders and not files and here.parts:
            found.append(f"{here.as_posix()}/")
    return found
