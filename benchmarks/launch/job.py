"""Defines a job, a cell that is ready to run: how its process is started, and how its end is read."""

from __future__ import annotations

import contextlib
import fcntl
import json
import signal
import sys
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.launch import child
from results.store import find_record, save_record
from transfer.errors import DiskError, Interrupted, TransferError
from transfer.process.causes import cause

LOCK = "lock"  # beside the job file; the process that has the cell locks it
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
        """The command that starts the cell's process."""
        return [sys.executable, "-m", "benchmarks.cell", str(self.path)]

    @property
    def lock(self) -> Path:
        """The file that the process that has the cell locks."""
        return self.path.with_name(LOCK)

    @property
    def log(self) -> Path:
        """The file of all that the cell's process prints."""
        return self.path.with_name(LOG)


def is_free(lock: Path) -> bool:
    """Whether no process holds a cell's lock; False where that cannot be known."""
    try:
        with lock.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True


def title_of(record: Mapping[str, Any]) -> str:
    """The name of a cell in messages, by its record."""
    candidate = record.get("candidate")
    which = f"tuning, SOLVER.BASE_LR {candidate['base_lr']:g}" if candidate else f"seed {record['seed']}"
    if cut := record.get("truncated"):
        which += f", {cut['images']} test images"
    if record.get("evaluated"):
        which += ", evaluated only"
    return f"{record['suite']}, {record['init']}, {which}"


def read_job(path: Path) -> Job:
    """Reads the job of a job file."""
    content = json.loads(path.read_text(encoding="utf-8"))
    record = content["record"]
    return Job(title_of(record), path, record["suite"], record["id"], Path(content["output"]))


def environment_of_cell(extra: dict[str, str]) -> dict[str, str]:
    """The environment in which a cell's process finds our packages, and says where it crashed."""
    return child.environment({"PYTHONFAULTHANDLER": "1", **extra})


def finished(job: Job) -> bool:
    """Whether its record is that of a finished cell, and not of one that the job is to replace."""
    record = find_record(job.output, job.suite, job.id)
    replaces = json.loads(job.path.read_text(encoding="utf-8"))["replaces"]
    return bool(record and record["status"] == "finished" and record["finished_at"] != replaces)


def settle(job: Job, code: int | None) -> str:
    """Reads how a cell ended whose process ended with `code`, and writes the record that it could not write.

    Returns `finished`, `failed`, `refused` (bad input), `interrupted` or `busy` (another process has it).
    None is the code of a process that nobody saw ending.
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
    """(status, reason) of a process that ended before it could write them."""
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
    """The exit code of the whole: 0 all finished, 1 some did not, 2 bad input, 130 stopped by a signal.

    Says on standard error what to do next.
    """
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
