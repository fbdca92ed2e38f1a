"""Writes a bundle as one archive, .tar.gz or .zip, so that equal files are equal bytes."""

from __future__ import annotations

import gzip
import hashlib
import stat
import tarfile
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

from results.bundle.files import Source, changed, copy_as, open_source
from results.bundle.index import INDEX, Entry, Index, index_bytes

TAR, ZIP = (".tar.gz", ".tgz"), (".zip",)
_Member = tuple[str, Entry, Source]


def is_archive(path: Path) -> bool:
    """Whether the name is that of an archive."""
    return path.name.lower().endswith((*TAR, *ZIP))


def is_tar(name: str) -> bool:
    """Whether the name is that of an archive which is no zip."""
    return name.lower().endswith(TAR)


def write_archive(path: Path, form: str, index: Index, sources: Mapping[str, Source]) -> None:
    """Writes index and files to a new file `path`; `form`: the name by whose ending the kind is chosen.

    No time, owner or mode is kept, and names are sorted: equal files are equal bytes, by one zlib.
    """
    content = index_bytes(index)
    members: list[_Member] = [(INDEX, Entry(hashlib.sha256(content).hexdigest(), len(content)), content)]
    members += [(name, entry, sources[name]) for name, entry in index.files.items()]
    (_write_tar if is_tar(form) else _write_zip)(path, members)


def _write_tar(path: Path, members: Sequence[_Member]) -> None:
    with (
        open(path, "xb") as raw,
        gzip.GzipFile("", "wb", 6, raw, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as tar,
    ):
        for name, entry, source in members:
            info = tarfile.TarInfo(name)
            info.size = entry.size
            with open_source(source) as stream:
                passed = _Hashed(stream)
                tar.addfile(info, passed)
            if passed.digest.hexdigest() != entry.sha256:
                raise changed(name)


def _write_zip(path: Path, members: Sequence[_Member]) -> None:
    with zipfile.ZipFile(path, "x") as file:
        for name, entry, source in members:
            info = zipfile.ZipInfo(name)  # of 1980, the earliest time that it knows
            info.compress_type, info.file_size = zipfile.ZIP_DEFLATED, entry.size
            info.external_attr, info.create_system = (stat.S_IFREG | 0o644) << 16, 3
            with open_source(source) as stream, file.open(info, "w") as target:
                copy_as(stream, target, entry, name)


class _Hashed:
    """A stream that hashes what is read of it."""

    def __init__(self, stream: IO[bytes]):
        self.stream, self.digest = stream, hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        piece = self.stream.read(size)
        self.digest.update(piece)
        return piece
