"""Prints the forecast of a plan: cells by state, which will run, and for how long by earlier records."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from boltons.strutils import cardinalize

from benchmarks.planning.cells import Cell
from benchmarks.planning.request import Request
from results.record import Record
from results.store import find_record, load_records

# policy -> the states of cells that stay as they are
KEPT = {"only-missing": ("finished", "failed"), "retry-failed": ("finished",), "rerun": ()}
# Fields of the identity in which cells agree that take equally long.
ALIKE = ("suite", "recipe_sha256", "engine", "processes")


def cells_to_run(cells: Sequence[Cell], known: Mapping[str, str], policy: str) -> list[Cell]:
    """The cells that will run under a policy; `known` is id -> status."""
    return [cell for cell in cells if known[cell.id] not in KEPT[policy]]


def print_forecast(
    cells: Sequence[Cell],
    known: Mapping[str, str],
    todo: Sequence[Cell],
    request: Request,
    hardware: str | None,
    at_once: int | None,
) -> None:
    """Prints the forecast on standard error.

    `known` is id -> status, `hardware` the GPU or CPU by name (None: a cluster's unknown one), `at_once` the
    number of cells that run at the same time.
    """
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
        for line in estimated_time(todo, records, hardware, at_once):
            print(f"  {line}", file=sys.stderr)


def _renamed(cells: Sequence[Cell], known: Mapping[str, str], request: Request) -> set[tuple[str, str]]:
    """(old name, new name) of inits whose finished cells are from a call that named them otherwise."""
    done = [cell for cell in cells if known[cell.id] == "finished"]
    records = [(find_record(request.output, cell.suite.name, cell.id), cell.init.label) for cell in done]
    return {(str(r["init"]), label) for r, label in records if r is not None and r["init"] != label}


def estimated_time(
    todo: Sequence[Cell], records: Sequence[Record], hardware: str | None, at_once: int | None
) -> list[str]:
    """Lines on how long the cells take by finished records of the same suite, recipe, engine and hardware.

    Cells without such a record are counted as of unknown length. A stopped cell counts as a whole one.
    """
    measured = _measured(records)
    per_suite: dict[str, list[Cell]] = {}
    for cell in todo:
        per_suite.setdefault(cell.suite.name, []).append(cell)
    total, unknown, lines = 0.0, 0, []
    for suite, cells in per_suite.items():
        means = [_mean_hours(measured.get(_kind(cell.identity), {}), hardware) for cell in cells]
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


def _kind(identity: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(identity.get(name) for name in ALIKE)


def _measured(records: Sequence[Record]) -> dict[tuple[Any, ...], dict[str, list[float]]]:
    """Kind of cell -> hardware -> hours of its finished records."""
    found: dict[tuple[Any, ...], dict[str, list[float]]] = {}
    for record in records:
        if record["status"] == "finished":
            hours = sum(record["durations_s"].values()) / 3600
            by_hardware = found.setdefault(_kind(record["identity"]), {})
            by_hardware.setdefault(hardware_of(record), []).append(hours)
    return found


def _mean_hours(found: Mapping[str, Sequence[float]], hardware: str | None) -> float | None:
    """The mean of the hours on this hardware, None where there are none.

    With `hardware` None all must be of one kind.
    """
    if hardware is None and len(found) == 1:
        hardware = next(iter(found))
    values = found.get(hardware or "", [])
    return sum(values) / len(values) if values else None


def hardware_of(record: Record) -> str:
    """The name of the GPU or CPU that a record's cell ran on."""
    environment = record["environment"]
    return str(environment.get("gpu") or environment.get("cpu"))


def _text(hours: float) -> str:
    if hours >= 0.95:
        return f"{hours:.1f} h"
    return f"{hours * 60:.1f} min" if hours * 60 >= 0.95 else f"{hours * 3600:.0f} s"
