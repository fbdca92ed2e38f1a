"""Prints the forecast of a plan: cells by state, which will run, and for how long by earlier records."""

from __future__ import annotations

import functools
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence

from boltons.strutils import cardinalize

from benchmarks.planning.cells import Cell
from benchmarks.planning.request import Request
from benchmarks.planning.speed import Kind, Speed, kind_of, mean_speed, measure, speed_of
from results.record import Record
from results.store import find_record, load_records

# policy -> the states of cells that stay as they are
KEPT = {"only-missing": ("finished", "failed"), "retry-failed": ("finished",), "rerun": ()}
# Where an estimate comes from.
RECORDS = "by earlier records of the same network and sizes"
MEASURED = "by a step that was measured now, without reading images"


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
    device: str | None = None,
    later: Sequence[Cell] = (),
) -> None:
    """Prints the forecast on standard error.

    `known` is id -> status, `hardware` the GPU or CPU by name (None: a cluster's unknown one), `at_once` the
    number of cells that run at the same time, `device` what they were told to run on. `later` are cells that
    a later plan will hold, of which the time is told already.
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
    for line in dict.fromkeys(_of_other_rows(cells, known, request)):
        print(f"  {line}", file=sys.stderr)
    if later:
        print(f"  {len(later)} {cardinalize('trial', len(later))} at the best rates follow", file=sys.stderr)
    for line in told_time([*todo, *later], request, hardware, at_once, device):
        print(f"  {line}", file=sys.stderr)


def told_time(
    todo: Sequence[Cell],
    request: Request,
    hardware: str | None,
    at_once: int | None,
    device: str | None,
    starts: bool = True,
) -> list[str]:
    """As `estimated_time`, by the records of the output folder; where they tell nothing, `starts` measures.

    A miniature is not measured, which would take as long as it does, nor is a machine that is not this one.
    """
    if not todo:
        return []
    can_measure = starts and hardware and not request.smoke
    ask = functools.partial(measure, device=device) if can_measure else None
    return estimated_time(todo, load_records(request.output, problems=[]), hardware, at_once, ask)


def _of_other_rows(cells: Sequence[Cell], known: Mapping[str, str], request: Request) -> Iterator[str]:
    """A line for each finished cell that is a trial of another row, by its name or by what that is over."""
    for cell in cells:
        finished = known[cell.id] == "finished"
        record = find_record(request.output, cell.suite.name, cell.id) if finished else None
        if record is None:
            continue
        old, new = record["init"], cell.init.label
        if not cell.candidate and bool(record.get("checkpoints")) != bool(cell.init.checkpoints):
            there = f"the row {old} {'over pre-trainings' if record.get('checkpoints') else 'of one file'}"
            yield (
                f"{cell.suite.name}, {new}, seed {cell.seed} was finished as a trial of {there} and "
                "stays there; --rerun makes it one of this row"
            )
        elif old != new:
            yield f"{new} was finished under the name {old}, which its row keeps"


def estimated_time(
    todo: Sequence[Cell],
    records: Sequence[Record],
    hardware: str | None,
    at_once: int | None,
    measure: Callable[[Cell], Speed | None] | None = None,
) -> list[str]:
    """Lines on how long the cells take: by finished records of alike cells on this hardware (see `speed`).

    Where there is none, `measure` is asked, once for each kind of cell; else the cell's length is unknown. A
    stopped cell counts as a whole one.
    """
    known = _speeds(records, hardware)
    measured: dict[Kind, Speed | None] = {}
    per_suite: dict[tuple[str, str], list[float]] = {}
    for cell in todo:
        kind = kind_of(cell.recipe, cell.identity)
        if kind not in known and kind not in measured:
            measured[kind] = measure(cell) if measure else None
        speed, by = (known[kind], RECORDS) if kind in known else (measured[kind], MEASURED)
        if speed:
            per_suite.setdefault((cell.suite.name, by), []).append(speed.seconds(cell) / 3600)
    hours = [one for of_suite in per_suite.values() for one in of_suite]
    if not hours:
        return ["estimated time: unknown, no earlier record of alike cells on this hardware"]
    unknown = len(todo) - len(hours)
    rest = f", and {unknown} {cardinalize('cell', unknown)} of unknown length" if unknown else ""
    wall = f", {_text(sum(hours) / at_once)} with {at_once} at once" if at_once and at_once > 1 else ""
    lines = [f"{name}: {_text(sum(of) / len(of))} a cell, {by}" for (name, by), of in per_suite.items()]
    return [f"estimated time: {_text(sum(hours))} of work{wall}{rest}", *lines]


def _speeds(records: Sequence[Record], hardware: str | None) -> dict[Kind, Speed]:
    """Kind of cell -> its mean speed on this hardware; with `hardware` None all must be of one."""
    found: dict[Kind, dict[str, list[Speed]]] = {}
    for record in records:
        speed = speed_of(record) if record["status"] == "finished" else None
        if speed:
            of_kind = found.setdefault(kind_of(record["recipe"], record["identity"]), {})
            of_kind.setdefault(hardware_of(record), []).append(speed)
    chosen = {
        kind: of_kind[hardware or next(iter(of_kind))]
        for kind, of_kind in found.items()
        if (hardware in of_kind if hardware else len(of_kind) == 1)
    }
    return {kind: mean_speed(speeds) for kind, speeds in chosen.items()}


def hardware_of(record: Record) -> str:
    """The name of the GPU or CPU that a record's cell ran on."""
    environment = record["environment"]
    return str(environment.get("gpu") or environment.get("cpu"))


def _text(hours: float) -> str:
    if hours >= 0.95:
        return f"{hours:.1f} h"
    return f"{hours * 60:.1f} min" if hours * 60 >= 0.95 else f"{hours * 3600:.0f} s"
