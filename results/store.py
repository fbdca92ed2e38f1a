"""Keeps the record directory: a file per cell, written whole or not at all, and a journal of all saves.

    root/records/<suite>/<id>.json    the truth; everything shown to people is computed from these files
    root/journal.jsonl                one line per save, in order: when, what, the SHA-256 of the bytes
    root/cells/<suite>/<init>-<id>/   log.jsonl, per_class.json, samples.png of a cell (written by benchmarks)

Any number of processes may save at once: each writes its own temporary file and renames it, so a reader
sees the old record or the new one and a killed writer leaves at most a temporary file. `save_record`
returns when the record is on the disk. `load_records` holds every record against the journal.
"""

from __future__ import annotations

import contextlib
import gc
import hashlib
import json
import os
import secrets
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from boltons.fileutils import atomic_save

from results.errors import RecordError
from results.journal import append_journal, doubt_of, saved_hashes
from results.record import Record
from results.schema import normalize, read_record

_NAME_LENGTH = len("0123456789abcdef.json")


def save_record(record: Mapping[str, Any], root: Path | str, journal: bool = True) -> Path:
    """Stores the record durably and returns its path; a record with the same id is replaced.

    `journal`: whether the journal is to vouch for it; not for what came from elsewhere without an entry.
    RecordError: invalid record. OSError, with the path: the disk refused (full, read-only); the record before
    stays in place.
    """
    stored = normalize(record)
    root = Path(root)
    path = record_path(root, stored["suite"], stored["id"])
    path.parent.mkdir(parents=True, exist_ok=True)
    content = (json.dumps(stored, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode()
    sha256 = hashlib.sha256(content).hexdigest()
    # A record that is replaced must not look changed by hand, even to a reader who comes between the rename
    # and the entry or when the writer is killed there: its entry comes first. A first record's comes last,
    # so that the journal never names one that was not stored.
    replaces = path.exists()
    # every save has its own temporary file: two writers of one cell must not share one
    part = f".{path.stem}.{os.getpid()}-{secrets.token_hex(4)}.part"
    try:
        with atomic_save(str(path), part_file=part) as file:
            file.write(content)
            if journal and replaces:
                file.flush()  # what does not fit on the disk fails before the entry
                append_journal(root, stored, sha256)
    except OSError as error:
        # atomic_save removes it only when `write` itself fails, not when the last bytes do not fit
        path.with_name(part).unlink(missing_ok=True)
        if error.filename is None and error.errno is not None:
            raise OSError(
                error.errno, f"{error.strerror} ({len(content)} bytes to write)", str(path)
            ) from None
        raise
    _sync_directory(path.parent)
    if journal and not replaces:
        append_journal(root, stored, sha256)
    return path


def find_record(root: Path | str, suite: str, id: str) -> Record | None:
    """The record of one cell, or None where there is none. RecordError: it is there and broken."""
    path = record_path(Path(root), suite, id)
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    return read_record(content, str(path))


def load_records(root: Path | str, problems: list[str] | None = None) -> list[Record]:
    """Every record under the root, ordered by suite, init, trial and id; an empty list where there is none.

    A record that may not be what was written has the reason under "doubt" (see results.journal), which is
    never stored. RecordError: a broken file; with `problems`, its one-line message is appended there instead.
    """
    found = []
    with _collector_paused():
        for path in record_files(Path(root)):
            try:
                with open(path, "rb") as file:
                    content = file.read()
                found.append((path, hashlib.sha256(content).hexdigest(), read_record(content, path)))
            except (RecordError, OSError) as error:
                if problems is None:
                    raise
                problems.append(str(error))
        saved = saved_hashes(Path(root))  # after the records, see doubt_of
        for path, sha256, record in found:
            folder, name = os.path.split(path)
            place = (os.path.basename(folder), name.removesuffix(".json"))
            doubt = doubt_of(record, place, sha256, saved)
            if doubt:
                record["doubt"] = doubt
        records = [record for _, _, record in found]
        records.sort(key=lambda r: (r["suite"], r["init"], r["trial"], r["id"]))
    return records


def record_files(root: Path) -> list[str]:
    """Paths of all record files, sorted; temporary files and strangers are not among them.

    Raises RecordError where the root is no folder.
    """
    found = []
    if Path(root).is_file():
        raise RecordError(f"{root}: is a file; expected a folder with records/<suite>/<id>.json")
    with contextlib.suppress(FileNotFoundError):
        for suite in os.scandir(root / "records"):
            if suite.is_dir():
                names = (entry.name for entry in os.scandir(suite.path))
                found += [f"{suite.path}/{name}" for name in names if is_record_name(name)]
    return sorted(found)


def is_record_name(name: str) -> bool:
    """Whether it is <16 characters>.json: only such files are records."""
    return len(name) == _NAME_LENGTH and name.endswith(".json") and not name.startswith(".")


def record_path(root: Path, suite: str, id: str) -> Path:
    """The path of a record, whether it is there or not."""
    return root / "records" / suite / f"{id}.json"


@contextlib.contextmanager
def _collector_paused() -> Iterator[None]:
    """Spares the collector its walks: 10,000 records are a million live objects, and none is garbage."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _sync_directory(directory: Path) -> None:
    """Makes a rename durable: it is on the disk only when its directory is."""
    if os.name == "nt":  # Windows opens no directories
        return
    fd = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
