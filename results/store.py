"""The record directory: one file per cell, written whole or not at all, and an append-only journal of every
save.

    root/records/<suite>/<id>.json    the truth; everything shown to people is computed from these files
    root/journal.jsonl                one line per save, in order: when, what, the SHA-256 of the bytes
    root/cells/<suite>/<init>-<id>/   log.jsonl, per_class.json, samples.png of a cell (written by benchmarks)

Any number of processes may save at once: each writes its own temporary file and renames it, so a reader
sees the old record or the new one and a killed writer leaves at most a temporary file. `save_record`
returns when the record is on the disk. The journal could be rebuilt from the records; `python -m results
verify` holds the two against each other.
"""

from __future__ import annotations

import contextlib
import fcntl
import gc
import hashlib
import json
import os
import secrets
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from boltons.fileutils import atomic_save

from results.record import RecordError, normalize, read_record

JOURNAL = "journal.jsonl"
_NAME_LENGTH = len("0123456789abcdef.json")


def save_record(record: dict[str, Any], root: Path | str) -> Path:
    """Stores the record durably and returns its path; a record with the same id is replaced.

    RecordError: invalid record. OSError: the disk said no (full, read-only); the record before stays in
    place.
    """
    record = normalize(record)
    root = Path(root)
    path = record_path(root, record["suite"], record["id"])
    path.parent.mkdir(parents=True, exist_ok=True)
    content = (json.dumps(record, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode()
    # a name of its own for every save: two writers of one cell must not share a temporary file
    part = f".{path.stem}.{os.getpid()}-{secrets.token_hex(4)}.part"
    try:
        with atomic_save(str(path), part_file=part) as file:
            file.write(content)
    except OSError:
        # atomic_save removes it only when `write` itself fails, not when the last bytes do not fit
        path.with_name(part).unlink(missing_ok=True)
        raise
    _sync_directory(path.parent)
    _append_journal(root, record, hashlib.sha256(content).hexdigest())
    return path


def find_record(root: Path | str, suite: str, id: str) -> dict[str, Any] | None:
    """The record of one cell, or None where there is none. RecordError: it is there and broken."""
    path = record_path(Path(root), suite, id)
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    return read_record(content, str(path))


def load_records(root: Path | str, problems: list[str] | None = None) -> list[dict[str, Any]]:
    """Every record under the root, ordered by suite, init, trial and id; an empty list where there is none.

    A broken file raises RecordError; with `problems`, its one-line message is appended there and reading
    goes on.
    """
    records = []
    with _collector_paused():
        for path in record_files(Path(root)):
            try:
                with open(path, "rb") as file:
                    records.append(read_record(file.read(), path))
            except (RecordError, OSError) as error:
                if problems is None:
                    raise
                problems.append(str(error))
        records.sort(key=lambda r: (r["suite"], r["init"], r["trial"], r["id"]))
    return records


def record_files(root: Path) -> list[str]:
    """Paths of all record files, sorted; temporary files and strangers are not among them."""
    found = []
    with contextlib.suppress(FileNotFoundError):
        for suite in os.scandir(root / "records"):
            if suite.is_dir():
                names = (entry.name for entry in os.scandir(suite.path))
                found += [f"{suite.path}/{name}" for name in names if is_record_name(name)]
    return sorted(found)


def is_record_name(name: str) -> bool:
    """True for <16 characters>.json, the only files that are records."""
    return len(name) == _NAME_LENGTH and name.endswith(".json") and not name.startswith(".")


def record_path(root: Path, suite: str, id: str) -> Path:
    """Where a record is stored, whether it is there or not."""
    return root / "records" / suite / f"{id}.json"


@contextlib.contextmanager
def _collector_paused() -> Iterator[None]:
    """10,000 records are a million live objects: the garbage collector would walk them again and again."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _append_journal(root: Path, record: dict[str, Any], sha256: str) -> None:
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
    fd = os.open(root / JOURNAL, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o666)
    try:
        # The lock, which dies with its process, keeps the look at the last byte and the write together.
        # Some network file systems have none: there O_APPEND alone must do, and the records are safe
        # without the journal.
        with contextlib.suppress(OSError):
            fcntl.flock(fd, fcntl.LOCK_EX)
        size = os.fstat(fd).st_size
        # a writer killed in its write, or a full disk, can leave half a line: it must not swallow ours
        if size and os.pread(fd, 1, size - 1) != b"\n":
            line = b"\n" + line
        if os.write(fd, line) != len(line):
            raise OSError(f"{root / JOURNAL}: the line was not written whole; is the disk full?")
    finally:
        os.close(fd)


def _sync_directory(directory: Path) -> None:
    """A rename is on the disk only when its directory is."""
    fd = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
