"""Refuses trials of a row over pre-trainings whose files do not belong to those that were run before."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import cast

from benchmarks.errors import UsageError
from benchmarks.planning.cells import Cell
from results.journal import LEFT_OUT
from results.record import Record
from results.store import load_records
from results.tables.pretrainings import row_identity, why_apart


def refuse_retrained(cells: Sequence[Cell], output: Path) -> None:
    """Raises UsageError where new trials would make two sets of a row's pre-trainings.

    A table pools neither then, so that a file which was trained anew would take the row away that is there.
    """
    rows: dict[tuple[str, str], list[Record]] = {}
    for cell in cells:
        if cell.init.checkpoints:
            rows.setdefault((cell.suite.name, cell.init.label), []).append(_as_record(cell))
    if not rows:
        return
    finished = [
        record
        for record in load_records(output, problems=[])
        if record["status"] == "finished"
        and record.get("checkpoints")
        and not record.get("candidate")
        and record.get("doubt") not in LEFT_OUT
    ]
    for (suite, label), planned in rows.items():
        there = [
            record
            for record in finished
            if (record["suite"], record["init"]) == (suite, label)
            and row_identity(record) == row_identity(planned[0])
        ]
        why = why_apart([*there, *planned])
        if why and not why_apart(there):
            raise UsageError(
                f"{suite}, {label}: with what is finished in {output} its files are no one set of "
                f"pre-trainings: {why}; choose another --output for the new set"
            )


def _as_record(cell: Cell) -> Record:
    """The fields by which a cell's record will find its row."""
    told = {"identity": cell.identity, "recipe": cell.recipe, "checkpoints": cell.init.checkpoints}
    return cast(Record, told)
