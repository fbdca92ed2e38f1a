"""Joins the record directories of several machines into one.

Records are copied, never averaged or edited. Where two directories hold the same cell, the better status
wins (finished before all others), then the run that finished first, then the smaller hash: the same winner
whatever the order of the directories. A record that is not what was written never wins, and is not copied.
What its source's journal does not know is copied, and the destination's journal does not vouch for it either.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from boltons.fileutils import atomic_save

from results.errors import RecordError
from results.journal import CHANGED, DOUBTS, LEFT_OUT, RENAMED, UNJOURNALLED
from results.record import Record, flat_metrics
from results.run_files import CELL_FILES, cell_directories
from results.store import find_record, load_records, save_record

TRUSTED = ("", UNJOURNALLED, CHANGED, RENAMED)  # the earlier one wins
BETTER = ("finished", "running", "interrupted", "failed")


def merge(
    destination: Path, sources: Sequence[Path], cell_files: Sequence[str] = CELL_FILES
) -> Iterator[str]:
    """Merges the sources into the destination; yields a line per clash and one per source.

    `cell_files`: which of the files and folders beside the records come along. RecordError, before anything
    is written: a source without records, or with a broken one.
    """
    loaded = []
    for source in sources:
        if source.resolve() == destination.resolve():
            raise RecordError(f"{source} is the destination itself; name other directories to merge into it")
        records = load_records(source)
        if not records:
            raise RecordError(f"no records in {source}, expected {source}/records/<suite>/<id>.json")
        loaded.append((source, records))
    return _copy(destination, loaded, cell_files)


def _copy(
    destination: Path, loaded: Sequence[tuple[Path, list[Record]]], cell_files: Sequence[str]
) -> Iterator[str]:
    """Copies what wins, and yields a line per clash and per source."""
    # a renamed file's own place is looked at where it is in the way
    there = [record for record in load_records(destination, []) if record.get("doubt") != RENAMED]
    doubts = {(record["suite"], record["id"]): record.get("doubt", "") for record in there}
    for source, records in loaded:
        cells = cell_directories(source)
        new = replaced = left_out = 0
        for record in records:
            key, doubt = (record["suite"], record["id"]), record.pop("doubt", "")
            if doubt in LEFT_OUT:
                yield f"{_name(record)} in {source} {DOUBTS[doubt]}; not copied"
                left_out += 1
                continue
            present = find_record(destination, *key)
            if present is not None:
                before = doubts.get(key, "") if (present["suite"], present["id"]) == key else RENAMED
                mine, others = TRUSTED.index(before), TRUSTED.index(doubt)
                if present == record and mine <= others:
                    continue
                replace = others < mine or (others == mine and _rank(record) < _rank(present))
                yield _describe_clash(present, record, replace, source, before)
                if not replace:
                    continue
            # the cell's files first: a record that is there has them
            if key in cells:
                _copy_cell_files(cells[key], destination / "cells" / record["suite"], cell_files)
            save_record(record, destination, journal=not doubt)
            doubts[key] = doubt
            new += present is None
            replaced += present is not None
        more = f", {left_out} left out" if left_out else ""
        yield f"{source}: {len(records)} records, {new} new, {replaced} replaced{more}"


def _rank(record: Record) -> tuple[int, str, bool, str]:
    """Sorts the better of two records of one cell first, whichever was met first."""
    canonical = json.dumps(record, sort_keys=True).encode()
    return (
        BETTER.index(record["status"]),
        record.get("finished_at") or "9999",
        not record.get("per_image"),  # which may have been added to one of two copies later
        hashlib.sha256(canonical).hexdigest(),
    )


def _name(record: Record) -> str:
    return f"{record['suite']} {record['init']} trial {record['trial']} ({record['id']})"


def _describe_clash(present: Record, other: Record, replace: bool, source: Path, doubt: str) -> str:
    """One line; `doubt`: that of the record that is present."""
    where = _name(other)
    kept = f"taking that of {source}" if replace else "keeping the one there"
    if doubt and replace:
        return f"{where}: the one there {DOUBTS[doubt]}; {kept}"
    if present["status"] != other["status"]:
        return f"{where}: {present['status']} there, {other['status']} in {source}; {kept}"
    if flat_metrics(present) == flat_metrics(other):
        return f"{where}: run twice with equal metrics; {kept}"
    return f"{where}: run twice with DIFFERENT metrics; {kept}"


def _copy_cell_files(cell: Path, parent: Path, names: Sequence[str]) -> None:
    """Copies the files that the report reads, and no checkpoints: those can be gigabytes."""
    target = parent / cell.name
    for name in names:
        if (cell / name).is_dir():
            shutil.rmtree(target / name, ignore_errors=True)  # files of another run would be among them
            shutil.copytree(cell / name, target / name)
        elif (cell / name).is_file():
            target.mkdir(parents=True, exist_ok=True)
            with (
                open(cell / name, "rb") as file,
                atomic_save(str(target / name), overwrite_part=True) as copy,
            ):
                shutil.copyfileobj(file, copy)
