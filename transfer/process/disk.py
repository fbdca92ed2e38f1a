"""Says what a disk that takes no more lacks: which file, how much it needs, how much is free, what to do."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from transfer.errors import DiskError

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@contextmanager
def writing(path: Path, needed: int | None = None) -> Iterator[None]:
    """Turns an OSError of the block into a DiskError that names `path` and the `needed` bytes."""
    try:
        yield
    except OSError as error:
        raise DiskError(disk_line(error, str(path), needed)) from error


def disk_line(error: Any, path: str, needed: int | None = None) -> str:
    """One line of what the disk said, with the path that the error may lack; a full one is measured."""
    where = str(error.filename or path)
    says = f"{where}: {error.strerror or error}"
    if error.errno not in _FULL:
        return says
    need = [f"{needed / 1e6:.1f} MB are needed"] if needed else []
    with suppress(OSError):
        need.append(f"{_free(Path(path)) / 1e6:.1f} MB are free")
    return f"{says} ({', '.join(need)}); make room, and the same command goes on"


def check_room(path: Path, needed: int) -> None:
    """Raises a DiskError if fewer than `needed` bytes are free where `path` is to be."""
    with suppress(OSError):  # a disk that does not say how much is free is tried
        if needed > _free(path):
            raise DiskError(disk_line(OSError(errno.ENOSPC, "the disk is too small"), str(path), needed))


def _free(path: Path) -> int:
    there = next(p for p in [path.absolute(), *path.absolute().parents] if p.exists())
    return shutil.disk_usage(there).free


def is_full(error: BaseException) -> bool:
    """Whether the error is that of a full disk, and no mistake in a path or in our code."""
    return isinstance(error, DiskError) or (isinstance(error, OSError) and error.errno in _FULL)
