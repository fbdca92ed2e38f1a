"""Writes a backbone file whole or not at all, and says of a full disk how much is needed."""

from __future__ import annotations

import errno
import os
import shutil
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from boltons.fileutils import atomic_save

from converters.errors import CheckpointError

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@contextmanager
def replacing(path: str | os.PathLike[str], arrays: Iterable[Any]) -> Iterator[Any]:
    """Opens a binary file that takes the place of `path` once the block is through.

    CheckpointError if the place is not writable, or has no room for `arrays`; what was there before is then
    intact, and nothing lies beside it.
    """
    target = Path(path)
    if not target.parent.is_dir():
        raise CheckpointError(f"{target}: its folder does not exist; create it first")
    # A part name of its own: two runs may convert the same checkpoint to the same place at the same time.
    part = target.with_name(f".{target.name}.{uuid.uuid4().hex}.part")
    saver = atomic_save(str(target), part_file=part.name)
    try:
        with saver as file:
            yield file
    except OSError as error:
        with suppress(OSError):  # what is buffered still finds no room; `atomic_save` leaves the part then
            if saver.part_file:
                saver.part_file.close()
        with suppress(OSError):
            part.unlink(missing_ok=True)
        raise CheckpointError(_line(target, error, arrays)) from None


def _line(target: Path, error: OSError, arrays: Iterable[Any]) -> str:
    says = error.strerror or error
    if error.errno not in _FULL:
        return f"{target}: cannot be written ({says})"
    room = [f"{sum(array.nbytes for array in arrays) / 1e6:.1f} MB are needed"]
    with suppress(OSError):
        room.append(f"{shutil.disk_usage(target.parent).free / 1e6:.1f} MB are free")
    return f"{target}: {says} ({', '.join(room)}); make room, and give the same command again"
