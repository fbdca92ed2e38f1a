"""Holds the records of a directory, and the files kept beside them, against their rules and the journal.

A problem is something to act on: a broken or altered file, a record that was saved and is gone. A note is
something to know: the remains of a killed writer, records that were copied in by hand.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path

from results.errors import RecordError
from results.hashes import check_hashes
from results.journal import JOURNAL, read_journal
from results.record import Record, record_id
from results.run_files import PER_IMAGE, cell_directories
from results.schema import read_record
from results.store import is_record_name, record_path


@dataclass
class Verdict:
    """The counts, problems and notes of one directory; the lines name the files."""

    records: int = 0
    journal_entries: int = 0
    kept_files: int = 0  # entries of hashes.json; runs have none
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def verify(root: Path | str) -> Verdict:
    """Reads everything under the root and changes nothing. RecordError: there is no such directory."""
    root = Path(root)
    if not root.is_dir():
        raise RecordError(f"{root} is not a directory; expected one with records/<suite>/<id>.json")
    verdict = Verdict()
    hashes = _check_files(root, verdict)
    _check_journal(root, hashes, verdict)
    problems, notes, verdict.kept_files = check_hashes(root)
    verdict.problems += problems
    verdict.notes += notes
    return verdict


def _check_files(root: Path, verdict: Verdict) -> dict[tuple[str, str], str]:
    """Checks every record file by itself; returns the SHA-256 of its bytes by (suite, id)."""
    hashes, cells = {}, cell_directories(root)
    for path in sorted((root / "records").glob("*/*")):
        name = path.relative_to(root)
        if not is_record_name(path.name):
            killed = path.name.startswith(".") and path.name.endswith(".part")
            what = (
                "left by a killed writer, may be deleted when nothing is running"
                if killed
                else "not a record"
            )
            verdict.notes.append(f"{name}: {what}")
            continue
        verdict.records += 1
        suite, id = path.parent.name, path.stem
        try:
            content = path.read_bytes()
            hashes[suite, id] = hashlib.sha256(content).hexdigest()
            record = read_record(content, str(name))
        except (RecordError, OSError) as error:
            verdict.problems.append(str(error))
            continue
        if (record["suite"], record["id"]) != (suite, id):
            verdict.problems.append(
                f"{name}: holds {record['suite']}/{record['id']}; the file was renamed or moved"
            )
        elif record_id(record["identity"]) != id:
            verdict.problems.append(f"{name}: the id is not the hash of its identity; the record was altered")
        else:
            _check_per_image(record, cells.get((suite, id)), str(name), verdict)
    return hashes


def _check_per_image(record: Record, cell: Path | None, name: str, verdict: Verdict) -> None:
    """Holds what is kept by image against the hash in its record; a record moved alone is only noted."""
    told = record.get("per_image")
    if not told:
        return
    if cell is None or not (cell / PER_IMAGE).is_file():
        verdict.notes.append(f"{name}: its {PER_IMAGE} is not here, so it has no interval over images")
    elif hashlib.sha256((cell / PER_IMAGE).read_bytes()).hexdigest() != told["sha256"]:
        what = "its bytes are not those that the record names (SHA-256); restore the file"
        verdict.problems.append(f"{cell.name}/{PER_IMAGE}: {what}")


def _check_journal(root: Path, hashes: dict[tuple[str, str], str], verdict: Verdict) -> None:
    """Holds the files against the entries of all saves."""
    saved: dict[tuple[str, str], set[str]] = {}
    for number, entry in read_journal(root):
        if entry is None:
            verdict.notes.append(f"{JOURNAL}:{number}: half a line, left by a killed writer or a full disk")
            continue
        verdict.journal_entries += 1
        saved.setdefault((entry["suite"], entry["id"]), set()).add(entry["sha256"])
    for key, known in saved.items():
        name = record_path(Path(), *key)
        if key not in hashes:
            verdict.problems.append(f"{name}: saved according to the journal, but the file is gone")
        elif hashes[key] not in known:
            # Every earlier save counts as known: two writers of one cell may rename in one order and journal
            # in the other.
            verdict.problems.append(
                f"{name}: its bytes are not those that were saved (SHA-256 in the journal); "
                "restore the file or run the cell again"
            )
    for key in sorted(hashes.keys() - saved.keys()):
        verdict.notes.append(
            f"{record_path(Path(), *key)}: not in the journal; copied in, or its writer was killed"
        )
