"""Keeps the journal of a record directory: one line per save, with the SHA-256 of the bytes.

It is only ever appended to, and tells whether a record is still what was written. It guards against accidents
and against edits by hand, not against somebody who edits the journal too.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import orjson

from results.record import Record, record_id

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

JOURNAL = "journal.jsonl"
# Why a record is doubted; see doubt_of.
CHANGED, RENAMED, UNJOURNALLED = "changed", "renamed", "unjournalled"
# Doubts that keep a record out of means, gaps and tests. One without an entry counts: it may be the last save
# of a killed writer.
LEFT_OUT = (CHANGED, RENAMED)
DOUBTS = {
    CHANGED: "was changed after it was written",
    RENAMED: "is in a file of another name, renamed or copied",
    UNJOURNALLED: "is not in the journal, so nothing tells whether it was changed",
}
_LOCKED_BYTE = 2**30  # Windows locks bytes, and a locked one cannot be read: one far behind the end


def append_journal(root: Path, record: Record, sha256: str) -> None:
    """Adds the line of one save and returns when it is on the disk. OSError: the disk refused."""
    entry = {
        "at": datetime.now(timezone.utc).isoformat(timespec="milliseconds"),
        "suite": record["suite"],
        "id": record["id"],
        "init": record["init"],
        "trial": record["trial"],
        "status": record["status"],
        "sha256": sha256,
    }
    line = (json.dumps(entry, ensure_ascii=False) + "\n").encode()
    path = root / JOURNAL
    fd = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o666)
    try:
        with _locked(fd):
            size = os.fstat(fd).st_size
            # a writer killed in its write, or a full disk, can leave half a line: it must not swallow ours
            os.lseek(fd, max(size - 1, 0), os.SEEK_SET)
            if size and os.read(fd, 1) != b"\n":
                line = b"\n" + line
            if os.write(fd, line) != len(line):
                raise OSError(f"{path}: the line was not written whole; is the disk full?")
            os.fsync(fd)  # a power cut must not leave a record without its entry
    finally:
        os.close(fd)


@contextlib.contextmanager
def _locked(fd: int) -> Iterator[None]:
    """Holds the lock under which the last byte is looked at and the line is written.

    A lock dies with its process. Some network file systems have none: there O_APPEND alone must do, and the
    records are safe without the journal.
    """
    if fcntl is not None:
        with contextlib.suppress(OSError):
            fcntl.flock(fd, fcntl.LOCK_EX)
        yield  # closing the file unlocks it
        return
    import msvcrt

    os.lseek(fd, _LOCKED_BYTE, os.SEEK_SET)
    msvcrt.locking(fd, msvcrt.LK_LOCK, 1)  # type: ignore[attr-defined,unused-ignore]
    try:
        yield
    finally:
        os.lseek(fd, _LOCKED_BYTE, os.SEEK_SET)
        msvcrt.locking(fd, msvcrt.LK_UNLCK, 1)  # type: ignore[attr-defined,unused-ignore]


def read_journal(root: Path) -> Iterator[tuple[int, dict[str, Any] | None]]:
    """(line number, entry) for every line of the journal; None for a line that is not an entry."""
    if not (root / JOURNAL).exists():
        return
    with open(root / JOURNAL, "rb") as file:
        for number, line in enumerate(file, 1):
            try:
                entry = orjson.loads(line)
            except ValueError:
                entry = None
            fields = [entry.get(k) for k in ("suite", "id", "sha256")] if isinstance(entry, dict) else [None]
            known = all(isinstance(field, str) for field in fields)
            yield number, entry if known else None


def saved_hashes(root: Path) -> dict[tuple[str, str], set[str]]:
    """(suite, id) -> the SHA-256 of every save.

    All of them count as written: of two writers of one cell, one may rename last and the other journal last.
    """
    saved: dict[tuple[str, str], set[str]] = {}
    for _, entry in read_journal(root):
        if entry is not None:
            saved.setdefault((entry["suite"], entry["id"]), set()).add(entry["sha256"])
    return saved


def doubt_of(
    record: Record, place: tuple[str, str], sha256: str, saved: dict[tuple[str, str], set[str]]
) -> str:
    """Why a record may not be what was written: CHANGED, RENAMED, UNJOURNALLED, or "" for no doubt.

    `place`: the suite and id by which its file is named; `sha256`: of its bytes; `saved`: of saved_hashes,
    read after the bytes, because a save that replaces a record is journalled before it is renamed.
    """
    if (record["suite"], record["id"]) != place:
        return RENAMED
    if place in saved:
        return "" if sha256 in saved[place] else CHANGED
    return UNJOURNALLED if record_id(record["identity"]) == record["id"] else CHANGED
