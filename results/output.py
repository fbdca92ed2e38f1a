"""Writes tables, reports and lines: to the terminal, or to a file, whole or not at all.

It raises RecordError, in one line, where that cannot be done.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import sys
from pathlib import Path
from typing import TextIO

from converters.options import visible
from results.errors import RecordError
from results.tables.formats import FORMATS
from results.tables.grid import Table
from results.tables.terminal import term, terminal_width

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def print_line(text: str, stream: TextIO | None = None) -> None:
    """Prints one line; names and messages from files cannot steer the terminal."""
    print_text(visible(text) + "\n", stream)


def print_text(text: str, stream: TextIO | None = None, flush: bool = False) -> None:
    """Prints the text as it is; RecordError, not a bare error number, where standard output is full."""
    stream = stream or sys.stdout
    try:
        print(text, end="", file=stream, flush=flush)
    except BrokenPipeError:
        raise  # results.command ends the program
    except OSError as error:
        if stream is not sys.stdout:
            raise
        # what is still held back would fail once more when the interpreter ends
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
        raise RecordError(f"standard output: {error.strerror}") from None


def write_tables(tables: list[Table], format: str, output: Path | None) -> None:
    """Prints the tables in one of the formats, or writes them to the file `output` and says so."""
    if output is None and sys.stdout is None:
        raise RecordError("standard output is closed; name a file with -o")
    if output is None and format == "term":
        print_text(term(tables, terminal_width(), color=sys.stdout.isatty()))
        return
    text = FORMATS[format].write(tables)
    if output is None:
        print_text(text)
        return
    write_file(output, text, f"table{FORMATS[format].suffix}")
    print_line(f"wrote {output}")


def write_file(path: Path, text: str, example: str) -> None:
    """Replaces the file's content; what was there before stays whole until then, and where this fails.

    RecordError: it is a folder (`example` is the name that is proposed), its folder is missing, or the disk
    said no; with the size that it needs.
    """
    from boltons.fileutils import atomic_save  # not above: a line is printed before anything is installed

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
        if error.errno in _FULL:
            free = shutil.disk_usage(path.parent).free
            room = f" ({len(content) / 1e6:.1f} MB to write, {free / 1e6:.1f} MB free)"
        advice = "make room, or name another place with -o" if room else "name another place with -o"
        raise RecordError(f"{path} was not written: {error.strerror}{room}; {advice}") from None
