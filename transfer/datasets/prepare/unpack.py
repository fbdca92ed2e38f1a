"""Unpacks tar and zip archives into a folder: regular files alone, none outside of it."""

from __future__ import annotations

import gzip
import lzma
import shutil
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO

from transfer.datasets.image_list.public.row import Remote
from transfer.errors import DataError, TransferError
from transfer.process.disk import writing

BROKEN = (
    *(tarfile.TarError, zipfile.BadZipFile, gzip.BadGzipFile, zlib.error, lzma.LZMAError, EOFError),
    *(NotImplementedError, RuntimeError),  # an unknown method of a zip, and a password
    *(OSError, ValueError),  # damaged bzip2, and a name that no file can have
)
_STEP = 16 << 20  # bytes of the archive between two steps of the progress


def unpack(remote: Remote, archive: Path, root: Path, most: int) -> int:
    """Unpacks a fetched file below `root` as its row says; returns the number of files.

    What is no archive is copied. DataError for a broken archive, for a path that leaves its folder and for
    more than `most` bytes, unpacked; links and devices are left out.
    """
    target = root / remote.into
    with writing(target):
        target.mkdir(parents=True, exist_ok=True)
    if not (tarfile.is_tarfile(archive) or zipfile.is_zipfile(archive)):
        with writing(target):
            shutil.copyfile(archive, target / remote.file)
        return 1
    if remote.inner:
        return _inner(remote, archive, target, most)
    return _all(archive, lambda name: _place(name, remote), target, most)


def _inner(remote: Remote, archive: Path, target: Path, most: int) -> int:
    """Unpacks the archives within the archive, one after the other."""
    count = 0
    for name in remote.inner:
        inner = target / f".{PurePosixPath(name).name}"
        try:
            if not _all(archive, {name: inner.name}.get, target, most):
                raise DataError(f"{archive}: has no {name}; remove it and fetch it again")
            count += _all(inner, lambda n: _place(n, remote), target, most)
        finally:
            inner.unlink(missing_ok=True)
    return count


def _place(name: str, remote: Remote) -> str:
    """Where a file of the archive goes below the folder; empty for what is left out."""
    path = PurePosixPath(name)
    if any(part.startswith("._") for part in path.parts):  # macOS' doubles
        return ""
    old, new = remote.rename
    text = new + str(path)[len(old) :] if old and str(path).startswith(old) else str(path)
    return PurePosixPath(text).name if remote.flat else text


def _all(archive: Path, place: Callable[[str], str | None], target: Path, most: int) -> int:
    from transfer.process.progress import progress

    count, left = 0, most
    size = archive.stat().st_size
    try:
        with (
            progress(
                f"unpack {archive.name.lstrip('.')} (x16 MB)", max(1, size // _STEP), quiet=size < _STEP
            ) as step,
            archive.open("rb") as raw,
        ):
            seen = 0
            for name, content in _files(raw):
                to = place(name)
                if to:
                    left -= _write(archive, target, to, content(), left)
                    count += 1
                while seen < raw.tell() // _STEP:
                    seen += 1
                    step("")
    except TransferError:  # of a file that is written
        raise
    except BROKEN as error:
        raise _broken(archive, error) from None
    return count


def _write(archive: Path, target: Path, to: str, content: IO[bytes], left: int) -> int:
    """Writes a file of the archive; returns its bytes. DataError for more than are `left`."""
    path = PurePosixPath(to)
    if path.is_absolute() or ".." in path.parts:
        raise DataError(f"{archive}: holds the path {to!r}, which leaves its folder; fetch it elsewhere")
    goal = target / path
    count = 0
    with content, writing(goal):
        goal.parent.mkdir(parents=True, exist_ok=True)
        with goal.open("wb") as file:
            for chunk in _chunks(archive, content):
                count += len(chunk)
                if count > left:
                    raise DataError(f"{archive}: swells far beyond its set; remove it and fetch it again")
                file.write(chunk)
    return count


def _chunks(archive: Path, content: IO[bytes]) -> Iterator[bytes]:
    try:
        while chunk := content.read(1 << 20):
            yield chunk
    except BROKEN as error:
        raise _broken(archive, error) from None


def _broken(archive: Path, error: BaseException) -> DataError:
    return DataError(f"{archive}: cannot be unpacked ({error}); remove it and fetch it again")


def _files(raw: IO[bytes]) -> Iterator[tuple[str, Callable[[], IO[bytes]]]]:
    """Name and content of each regular file, in the archive's order."""
    if zipfile.is_zipfile(raw):
        raw.seek(0)
        with zipfile.ZipFile(raw) as zipped:
            for info in zipped.infolist():
                if not info.is_dir():
                    yield info.filename, lambda info=info: zipped.open(info)  # type: ignore[misc]
        return
    raw.seek(0)
    with tarfile.open(fileobj=raw, mode="r:*") as tar:
        for member in tar:
            if member.isfile():
                yield member.name, lambda member=member: _content(tar, member)  # type: ignore[misc]
        while tar.fileobj is not None and tar.fileobj.read(1 << 20):
            pass  # a compressed file has its check sum behind the last member, which is read here


def _content(tar: tarfile.TarFile, member: tarfile.TarInfo) -> IO[bytes]:
    found = tar.extractfile(member)
    if found is None:
        raise tarfile.ReadError(f"{member.name} has no content")
    return found


@contextmanager
def staged(folder: Path) -> Iterator[Path]:
    """A new folder that is gone at the end, whatever happens; what is to stay is moved out of it before."""
    shutil.rmtree(folder, ignore_errors=True)
    with writing(folder):
        folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
