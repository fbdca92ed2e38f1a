"""Writes a table or a report to a file: whole or not at all, and one line where that cannot be done."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
from pathlib import Path

from boltons.fileutils import atomic_save

from results.record import RecordError

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def write_file(path: Path, text: str, example: str) -> None:
    """Replaces the file's content; what was there before stays whole until then, and where this fails.

    RecordError: it is a folder (`example` is the name that is proposed), its folder is missing, or the disk
    said no; with the size that it needs.
    """
    content = text.encode()
    part = path.parent / f".{path.name[:200]}.{os.getpid()}.part"
    try:
        if path.is_dir():
            raise RecordError(f"{path} is a folder; name a file, such as -o {path / example}")
        if not path.parent.is_dir():
            raise RecordError(
                f"{path}: {path.parent} is not a folder; make it first, or name another with -o"
            )
        if path.exists() and not path.is_file():  # /dev/stdout, a named pipe: nothing to rename over
            path.write_bytes(content)
            return
        with atomic_save(str(path), part_file=part.name, overwrite_part=True) as file:
            file.write(content)
    except OSError as error:
        with contextlib.suppress(OSError):
            part.unlink()
        room = ""
        if error.errno in FULL:
            free = shutil.disk_usage(path.parent).free
            room = f" ({len(content) / 1e6:.1f} MB to write, {free / 1e6:.1f} MB free)"
        advice = "make room, or name another place with -o" if room else "name another place with -o"
        raise RecordError(f"{path} was not written: {error.strerror}{room}; {advice}") from None
