"""Joins the record directories of several machines into one.

Records are copied, never averaged or edited. Where two directories hold the same cell, the better status
wins (finished before all others), then the run that finished first, then the smaller hash: the same winner
whatever the order of the directories.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from boltons.fileutils import atomic_save

from results.cells import CELL_FILES, cell_directories
from results.record import RecordError, flat_metrics
from results.store import find_record, load_records, save_record

BETTER = ("finished", "running", "interrupted", "failed")


def merge(destination: Path, sources: Sequence[Path]) -> Iterator[str]:
    """Merges the sources into the destination; yields a line per clash and one per source.

    RecordError, before anything is written: a source without records, or with a broken one.
    """
    loaded = []
    for source in sources:
        if source.resolve() == destination.resolve():
            raise RecordError(f"{source} is the destination itself; name other directories to merge into it")
        records = load_records(source)
        if not records:
            raise RecordError(f"no records in {source}, expected {source}/records/<suite>/<id>.json")
        loaded.append((source, records))
    return _copy(destination, loaded)


def _copy(destination: Path, loaded: Sequence[tuple[Path, list[dict[str, Any]]]]) -> Iterator[str]:
    for source, records in loaded:
        cells = cell_directories(source)
        new = replaced = 0
        for record in records:
            present = find_record(destination, record["suite"], record["id"])
            if present == record:
                continue
            if present is not None:
                winner = min(present, record, key=_rank)
                yield _describe_clash(present, record, winner is record, source)
                if winner is present:
                    continue
            # the cell's files first: a record that is there has them
            if (record["suite"], record["id"]) in cells:
                _copy_cell_files(
                    cells[record["suite"], record["id"]], destination / "cells" / record["suite"]
                )
            save_record(record, destination)
            new += present is None
            replaced += present is not None
        yield f"{source}: {len(records)} records, {new} new, {replaced} replaced"


def _rank(record: dict[str, Any]) -> tuple[int, str, str]:
    canonical = json.dumps(record, sort_keys=True).encode()
    return (
        BETTER.index(record["status"]),
        record.get("finished_at") or "9999",
        hashlib.sha256(canonical).hexdigest(),
    )


def _describe_clash(present: dict[str, Any], other: dict[str, Any], replace: bool, source: Path) -> str:
    where = f"{present['suite']} {present['init']} trial {present['trial']} ({present['id']})"
    kept = f"taking that of {source}" if replace else "keeping the one there"
    if present["status"] != other["status"]:
        return f"{where}: {present['status']} there, {other['status']} in {source}; {kept}"
    if flat_metrics(present) == flat_metrics(other):
        return f"{where}: run twice with equal metrics; {kept}"
    return f"{where}: run twice with DIFFERENT metrics; {kept}"


def _copy_cell_files(cell: Path, parent: Path) -> None:
    """What the report reads, and no checkpoints: those can be gigabytes."""
    target = parent / cell.name
    for name in CELL_FILES:
        if (cell / name).is_file():
            target.mkdir(parents=True, exist_ok=True)
            with (
                open(cell / name, "rb") as file,
                atomic_save(str(target / name), overwrite_part=True) as copy,
            ):
                shutil.copyfileobj(file, copy)
