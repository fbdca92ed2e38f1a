"""A cell's way to its process and back: the job file that describes it, and what its exit code means."""

from __future__ import annotations

import contextlib
import json
import signal
import sys
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from boltons.fileutils import atomic_save

from benchmarks.launch import child
from benchmarks.planning.cells import Cell, Request
from benchmarks.planning.inits import slug, store
from results.record import Record
from results.store import find_record, save_record
from transfer.errors import DiskError, Interrupted, TransferError
from transfer.process.causes import cause, forget
from transfer.recipes.resolve import flatten

LOG = "output.log"  # what a cell's process says, beside its job file
STOPPED = (130, 143)  # exit codes of a cell that a signal stopped with its state saved
GOES_ON = 74  # no room on the disk, or the numbers are there and something behind them failed
BUSY = 75  # another process has the cell
ERRORS = "errors"  # folder of a cell where the processes of torchrun tell each other what went wrong
ELSEWHERE = 76  # another process has finished the cell meanwhile
# Signals by which a process is ended from outside, through no fault of its own: the cell can go on.
_FROM_OUTSIDE = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL, signal.SIGUSR1, signal.SIGUSR2)


@dataclass(frozen=True)
class Job:
    """A cell that is ready to run; `path` is its job file, in the cell's directory."""

    title: str
    path: Path
    suite: str
    id: str
    output: Path

    @property
    def command(self) -> list[str]:
        return [sys.executable, "-m", "benchmarks.cell", str(self.path)]

    @property
    def log(self) -> Path:
        return self.path.with_name(LOG)


def prepare(cell: Cell, request: Request, device: str | None, rerun: bool = False) -> Job:
    """Writes the cell's job file; with `rerun` what is finished is done again from the start."""
    directory = cell_directory(cell, request.output)
    directory.mkdir(parents=True, exist_ok=True)
    forget(directory / ERRORS)
    backbone = store(cell.init, request.output / "inits")
    before = find_record(request.output, cell.suite.name, cell.id)
    content = {
        "record": open_record(cell, request, before),
        "replaces": before.get("finished_at") if rerun and before else None,
        "from_start": rerun and before is not None and before["status"] in ("finished", "failed"),
        "backbone": None if backbone is None else str(backbone.absolute()),
        "data_root": str(request.data_root.absolute()),
        "datasets": {name: own.to_json() for name, own in cell.own.items()},
        "directory": str(directory.absolute()),
        "output": str(request.output.absolute()),
        "engine": request.engine,
        "num_processes": request.num_processes,
        "device": device,
    }
    path = directory / "job.json"
    with atomic_save(str(path), text_mode=True, overwrite_part=True) as file:
        json.dump(content, file, indent=1)
    title = f"{cell.suite.name}, {cell.init.label}, seed {cell.seed}"
    return Job(title, path.absolute(), cell.suite.name, cell.id, request.output.absolute())


def read_job(path: Path) -> Job:
    """The job of a job file."""
    content = json.loads(path.read_text(encoding="utf-8"))
    record = content["record"]
    title = f"{record['suite']}, {record['init']}, seed {record['seed']}"
    return Job(title, path, record["suite"], record["id"], Path(content["output"]))


def cell_directory(cell: Cell, output: Path) -> Path:
    """Where a cell keeps its log, checkpoints, predictions and picture."""
    return output / "cells" / cell.suite.name / f"{slug(cell.init.label)}-{cell.id}"


def environment_of_cell(extra: dict[str, str]) -> dict[str, str]:
    """A child finds our packages wherever it is started, and says where it crashed."""
    return child.environment({"PYTHONFAULTHANDLER": "1", **extra})


def finished(job: Job) -> bool:
    """Whether its record is that of a finished cell, and not of one that the job is to replace."""
    record = find_record(job.output, job.suite, job.id)
    replaces = json.loads(job.path.read_text(encoding="utf-8"))["replaces"]
    return bool(record and record["status"] == "finished" and record["finished_at"] != replaces)


def settle(job: Job, code: int | None) -> str:
    """What became of a cell whose process ended with `code`; a record that it could not write is written.

    `finished`, `failed`, `refused` (bad input), `interrupted` or `busy` (another process has it). None is the
    code of a process that nobody saw ending.
    """
    if code == BUSY:
        print(f"{job.title}: another process has this cell", file=sys.stderr)
        return "busy"
    if code == ELSEWHERE:
        print(f"{job.title}: finished meanwhile by another process", file=sys.stderr)
        return "finished"
    record = find_record(job.output, job.suite, job.id)
    if record is None:
        record = json.loads(job.path.read_text(encoding="utf-8"))["record"] | {"status": "new"}
    status = str(record["status"])
    if status == "finished" and not finished(job):
        return "interrupted"  # it was to be replaced, and was not
    if status in ("new", "running"):
        status, error = _unsaid(code)
        told = cause(job.path.with_name(ERRORS))  # by a neighbour, for which this process waited in vain
        if told is not None:
            code = 2 if isinstance(told, TransferError) else 1
            status = "interrupted" if isinstance(told, Interrupted | DiskError) else "failed"
            error = str(told).strip().splitlines()[-1]
        with contextlib.suppress(OSError):  # a full disk stays full; the line below says it
            says = f"{error}; its output is in {job.log}"
            save_record(record | {"status": status, "error": says}, job.output)
        print(f"error: {job.title}: {error}", file=sys.stderr)
    return "refused" if status == "failed" and code == 2 else status


def _unsaid(code: int | None) -> tuple[str, str]:
    """(status, why) of a process that ended before it could say so itself."""
    if code is None:
        return "interrupted", "its job ended without a word (node failure, memory or time limit?)"
    if code >= 0:
        stopped = code in (*STOPPED, GOES_ON)
        return ("interrupted", "stopped") if stopped else ("failed", f"ended with exit code {code}")
    number = signal.Signals(-code)
    hint = " (out of memory? lower SOLVER.IMS_PER_BATCH)" if number == signal.SIGKILL else ""
    status = "interrupted" if number in _FROM_OUTSIDE else "failed"
    return status, f"killed by {number.name}{hint}"


def exit_code(outcomes: Iterable[str], stopped: bool) -> int:
    """0 all finished, 1 some did not, 2 bad input, 130 stopped by a signal; says what to do next."""
    counts = Counter(outcomes)
    if stopped:
        print("stopped; the same command goes on", file=sys.stderr)
        return STOPPED[0]
    for what, hint in (
        ("interrupted", "the same command goes on"),
        ("busy", "another process runs what is busy; the same command looks again"),
    ):
        if counts[what]:
            are = "cell is" if counts[what] == 1 else "cells are"
            print(f"{counts[what]} {are} {what}; {hint}", file=sys.stderr)
    if counts["refused"]:
        return 2
    return 1 if counts.keys() - {"finished"} else 0


def open_record(cell: Cell, request: Request, before: Record | None) -> dict[str, Any]:
    """The record of a cell that is about to run."""
    manifest = {"source": "random"} if cell.init.backbone is None else cell.init.backbone.manifest
    now = datetime.now(timezone.utc).isoformat(timespec="seconds")
    goes_on = before is not None and before["status"] != "finished"
    return {
        "schema": 1,
        "id": cell.id,
        "identity": cell.identity,
        "suite": cell.suite.name,
        "init": cell.init.label,
        "trial": cell.trial,
        "seed": cell.seed,
        "status": "running",
        "comparable": not cell.not_comparable_because,
        "not_comparable_because": cell.not_comparable_because,
        "metrics": {},
        "primary": cell.suite.primary,
        "recipe": flatten(cell.cfg),
        "scaling": cell.scaling.entry(),
        **({"variant": cell.variant} if cell.variant else {}),
        "overrides": [list(pair) for pair in request.overrides],
        "init_manifest": manifest,
        "data": {
            "train": [{"name": d.name, **d.summary} for d in cell.training],
            "test": {"name": cell.test.name, **cell.test.summary},
        },
        "engine": {"name": request.engine, "version": cell.identity["engine_version"]},
        "started_at": before["started_at"] if goes_on and before and before.get("started_at") else now,
        "error": None,
    }
