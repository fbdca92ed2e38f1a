"""What a plan comes to: cells by state, what will run, and how long that takes by earlier records."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Mapping, Sequence

from boltons.strutils import cardinalize

from benchmarks.planning.cells import Cell, Request
from results.record import Record
from results.store import find_record, load_records

# policy -> the states of cells that stay as they are
KEPT = {"only-missing": ("finished", "failed"), "retry-failed": ("finished",), "rerun": ()}


def to_do(cells: Sequence[Cell], known: Mapping[str, str], policy: str) -> list[Cell]:
    """The cells that will run; `known` is id -> status."""
    return [cell for cell in cells if known[cell.id] not in KEPT[policy]]


def outlook(
    cells: Sequence[Cell],
    known: Mapping[str, str],
    todo: Sequence[Cell],
    request: Request,
    hardware: str | None,
    at_once: int | None,
) -> None:
    """Says it on standard error; `hardware` names the GPU or CPU, None is a cluster's unknown one."""
    states = Counter(known[cell.id] for cell in cells)
    parts = [f"{states[what]} {what}" for what in ("finished", "failed") if states[what]]
    parts.append(f"{len(todo)} to do")
    print(f"plan: {len(cells)} {cardinalize('cell', len(cells))}: {', '.join(parts)}", file=sys.stderr)
    stopped = sum(known[cell.id] in ("interrupted", "running") for cell in todo)
    if stopped:
        words = "was begun before and goes on" if stopped == 1 else "were begun before and go on"
        print(f"  {stopped} {words}", file=sys.stderr)
    if states["failed"] and not any(known[cell.id] == "failed" for cell in todo):
        print("  failed cells stay as they are; --retry-failed runs them again", file=sys.stderr)
    for old, new in sorted(_renamed(cells, known, request)):
        print(f"  {new} was finished under the name {old}, which its row keeps", file=sys.stderr)
    if todo:
        records = load_records(request.output, problems=[])
        for line in hours(todo, records, hardware, at_once):
            print(f"  {line}", file=sys.stderr)


def _renamed(cells: Sequence[Cell], known: Mapping[str, str], request: Request) -> set[tuple[str, str]]:
    """(old name, new name) of inits whose finished cells are from a call that named them otherwise."""
    done = [cell for cell in cells if known[cell.id] == "finished"]
    records = [(find_record(request.output, cell.suite.name, cell.id), cell.init.label) for cell in done]
    return {(str(r["init"]), label) for r, label in records if r is not None and r["init"] != label}


def hours(
    todo: Sequence[Cell], records: Sequence[Record], hardware: str | None, at_once: int | None
) -> list[str]:
    """How long the cells take by finished records of the same suite, recipe, engine and hardware.

    What was never measured is said to be unknown. A stopped cell counts as a whole one.
    """
    per_suite: dict[str, list[Cell]] = {}
    for cell in todo:
        per_suite.setdefault(cell.suite.name, []).append(cell)
    total, unknown, lines = 0.0, 0, []
    for suite, cells in per_suite.items():
        means = [mean_hours(cell, records, hardware) for cell in cells]
        known = [mean for mean in means if mean is not None]
        unknown += len(means) - len(known)
        total += sum(known)
        if known:
            lines.append(f"{suite}: {_text(sum(known) / len(known))} a cell in earlier records")
    if not lines:
        return ["estimated time: unknown, no earlier record of these recipes, this engine and hardware"]
    rest = f", and {unknown} {cardinalize('cell', unknown)} of unknown length" if unknown else ""
    wall = f", {_text(total / at_once)} with {at_once} at once" if at_once and at_once > 1 else ""
    return [f"estimated time: {_text(total)} of work{wall}{rest}", *lines]


def mean_hours(cell: Cell, records: Sequence[Record], hardware: str | None) -> float | None:
    """The mean over comparable records, None where there is none.

    With `hardware` None they must at least agree on theirs.
    """
    fields = ("suite", "recipe_sha256", "engine", "processes")
    wanted = [cell.identity.get(name) for name in fields]
    found: dict[str, list[float]] = {}
    for record in records:
        if record["status"] == "finished" and [record["identity"].get(n) for n in fields] == wanted:
            seconds = sum(record["durations_s"].values())
            found.setdefault(hardware_of(record), []).append(seconds / 3600)
    if hardware is None and len(found) == 1:
        hardware = next(iter(found))
    values = found.get(hardware or "", [])
    return sum(values) / len(values) if values else None


def hardware_of(record: Record) -> str:
    """The device that ran it."""
    environment = record["environment"]
    return str(environment.get("gpu") or environment.get("cpu"))


def _text(hours: float) -> str:
    if hours >= 0.95:
        return f"{hours:.1f} h"
    return f"{hours * 60:.1f} min" if hours * 60 >= 0.95 else f"{hours * 3600:.0f} s"
