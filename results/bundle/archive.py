"""Reads a bundle that is an archive, which somebody sent.

Its index comes first, and all else is held against it before a byte is written. Refused are links, devices
and folders, names that lead out, a name given twice, and what grows far beyond its archive.
"""

from __future__ import annotations

import contextlib
import gzip
import io
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

from results.bundle.files import altered, copy, copy_as
from results.bundle.index import INDEX, Entry, Index, index_bytes, make_index, read_index
from results.bundle.pack import is_tar
from results.errors import RecordError

LARGEST_INDEX = 2**26  # bytes; half a million files
# Results of detectors shrink to a quarter; beyond the first bytes nothing honest shrinks to a hundredth.
FREE, GROWTH = 2**26, 100
_HEADERS = 4096  # bytes of a file in a tar beside its content, at most
_BROKEN = (tarfile.TarError, zipfile.BadZipFile, zlib.error, EOFError, gzip.BadGzipFile, NotImplementedError,
           RuntimeError, ValueError)  # fmt: skip
_KINDS = {
    **dict.fromkeys((tarfile.SYMTYPE, tarfile.LNKTYPE), "a link"),
    **dict.fromkeys((tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE), "a device"),
    tarfile.DIRTYPE: "a folder",
}
# name, what it is but a plain file, its stream, what limits the bytes that are still unpacked
_Member = tuple[str, str, IO[bytes], Callable[[int], None]]


class _Limited:
    """A stream of which no more than `left` bytes may be read: it holds what is unpacked in check."""

    def __init__(self, stream: IO[bytes], path: Path, left: int):
        self.stream, self.path, self.left = stream, path, left

    def limit(self, left: int) -> None:
        self.left = left

    def read(self, size: int) -> bytes:
        """Reads at most `size` bytes. RecordError: more than are left."""
        piece = self.stream.read(min(size, self.left + 1))
        self.left -= len(piece)
        if self.left < 0:
            raise RecordError(f"{self.path}: holds more than its index says; not unpacked")
        return piece


def look_at_archive(path: Path) -> tuple[Index, list[str]]:
    """The index of a bundle that is an archive, and all that is not as the index has it; writes nothing.

    RecordError: hostile or broken, the whole archive is refused.
    """
    index, problems, seen = None, [], set()
    with _whole(path):
        for name, kind, stream, limit in _members(path):
            if kind:
                raise RecordError(
                    f"{path}: {name!r} is {kind}; a bundle holds plain files alone; not unpacked"
                )
            if name in seen:
                raise RecordError(f"{path}: {name!r} is there twice; not unpacked")
            seen.add(name)
            if index is None:
                index = _first(path, name, stream)
                limit(index.size + _HEADERS * (len(index.files) + 8))
            elif name not in index.files:
                make_index({name: Entry("", 0)})  # one that leads out is refused; any other is a problem
                problems.append(f"{name}: not in the index; it was added")
            elif copy(stream, None, index.files[name].size) != index.files[name]:
                problems.append(altered(name))
    if index is None:
        raise RecordError(f"{path}: an empty archive, expected {INDEX}: not a bundle")
    gone = [name for name in index.files if name not in seen]
    return index, problems + [f"{name}: in the index, but the file is gone" for name in gone]


def unpack(path: Path, folder: Path, index: Index) -> None:
    """Unpacks an archive that was looked at into a new folder. RecordError: it changed since."""
    folder.mkdir()
    (folder / INDEX).write_bytes(index_bytes(index))
    with _whole(path):
        for name, kind, stream, _ in _members(path):
            if name == INDEX:
                continue
            if kind or name not in index.files:
                raise RecordError(f"{path} changed while it was read; fetch it again")
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            with open(folder / name, "xb") as target:
                copy_as(stream, target, index.files[name], name)


def _first(path: Path, name: str, stream: IO[bytes]) -> Index:
    if name != INDEX:
        raise RecordError(f"{path}: begins with {name!r}, expected {INDEX}: not a bundle")
    index, size = read_index(stream.read(LARGEST_INDEX), f"{path}: {INDEX}"), path.stat().st_size
    if index.size > max(FREE, GROWTH * size):
        told = f"{size / 1e6:.1f} MB would unpack to {index.size / 1e6:.0f} MB"
        raise RecordError(f"{path}: {told}, more than {GROWTH} times; not unpacked")
    return index


@contextlib.contextmanager
def _whole(path: Path) -> Iterator[None]:
    """Makes one line of whatever the libraries say of an archive that is broken."""
    try:
        yield
    except RecordError:
        raise
    except _BROKEN as error:
        text = " ".join(str(error).split()) or type(error).__name__
        raise RecordError(f"{path}: not a whole archive ({text:.80}); fetch it again") from None


def _members(path: Path) -> Iterator[_Member]:
    return _of_tar(path) if is_tar(path.name) else _of_zip(path)


def _of_tar(path: Path) -> Iterator[_Member]:
    with gzip.open(path, "rb") as packed:
        limited = _Limited(packed, path, LARGEST_INDEX)  # type: ignore[arg-type]
        with tarfile.open(fileobj=limited, mode="r|") as tar:  # type: ignore[call-overload]
            for info in tar:
                plain = info.type in (tarfile.REGTYPE, tarfile.AREGTYPE) and not info.issparse()
                kind = "" if plain else _KINDS.get(info.type, "no plain file")
                yield info.name, kind, (plain and tar.extractfile(info)) or io.BytesIO(), limited.limit
        while limited.read(2**16):  # to the check sum at its end
            pass


def _of_zip(path: Path) -> Iterator[_Member]:
    with zipfile.ZipFile(path) as file:
        for info in file.infolist():
            name, mode = info.orig_filename, info.external_attr >> 16
            kind = "a folder" if info.is_dir() else "a link" if stat.S_ISLNK(mode) else ""
            kind = kind or ("encrypted" if info.flag_bits & 1 else "")
            plain = info.compress_type in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
            kind = kind or ("" if plain else "packed otherwise than stored or deflated")
            with contextlib.nullcontext(io.BytesIO()) if kind else file.open(info) as stream:
                yield name, kind, stream, lambda _: None  # each file is read to its size in the index
