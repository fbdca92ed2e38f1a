"""Tells where the cells of a grid stand, from their job files, records, logs and locks, and from a queue.

Nothing is asked of the processes themselves, so a grid on this machine, of torchrun and on Slurm is read
alike, from any machine that sees its folder. A second look reads only what has changed.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from benchmarks.launch.job import LOCK, LOG, is_free, title_of
from benchmarks.launch.slurm_queue import batches, in_queue
from results.record import flat_metrics

RUNNING, FINISHED, FAILED, STOPPED, WAITING = "running", "finished", "failed", "stopped", "waiting"
QUEUE_EVERY_S = 15.0  # between two questions to squeue, which many users ask
TAIL = 2048  # bytes of a log that are read: some lines
LOST = "no process has it any more; the same command goes on"


@dataclass(frozen=True)
class Standing:
    """One cell or pre-training: its state, how far it is, and the one line that is to be said of it."""

    title: str
    state: str
    done: int = 0
    total: int | None = None  # iterations; None where it is not known
    loss: float | None = None
    left_s: float | None = None
    says: str = ""


@dataclass
class Grid:
    """The folder `--output` of a grid, with what was read of it before."""

    root: Path
    queue: Mapping[str, str] | None = field(default_factory=dict)  # None: squeue did not answer
    _asked: float = float("-inf")
    _files: dict[Path, tuple[tuple[int, int], Any]] = field(default_factory=dict)

    def look(self) -> list[Standing]:
        """Every cell that has a job file or a record, in the order of their folders."""
        self._ask_queue()
        found = []
        seen = set()
        for path in sorted((self.root / "cells").glob("*/*/job.json")):
            job = self._read(path)
            if not job:
                continue
            place = self.root / "records" / job["record"]["suite"] / f"{job['record']['id']}.json"
            seen.add(place)
            found.append(self._cell(path, job["record"], self._read(place)))
        for path in sorted((self.root / "records").glob("*/????????????????.json")):
            record = None if path in seen else self._read(path)
            if record:
                found.append(self._cell(None, record, record))
        return found

    def _cell(
        self, job: Path | None, planned: Mapping[str, Any], record: Mapping[str, Any] | None
    ) -> Standing:
        title, state, says = title_of(planned), WAITING, ""
        if record:
            state = STOPPED if record["status"] == "interrupted" else str(record["status"])
            says = "" if state == RUNNING else _said(record)
        queued = (self.queue or {}).get(str(job.absolute())) if job else None
        if queued and state != RUNNING and state != FINISHED:
            state, says = WAITING, f"Slurm: {queued}"
        if job is None or state in (FINISHED, FAILED, WAITING):
            return Standing(title, state, says=says)
        if state == RUNNING and not queued and is_free(job.with_name(LOCK)):
            state, says = STOPPED, LOST
        total = planned["recipe"].get("SOLVER.MAX_ITER")
        lines = tail(job.with_name("log.jsonl"))
        if state == RUNNING and not lines:
            says = _last_line(job.with_name(LOG))
        return progress_of(title, state, lines, total, says)

    def _ask_queue(self) -> None:
        """Asks the queue for the batches that were submitted from here; one that knows processes is local."""
        directory = self.root.absolute() / "slurm"
        if time.monotonic() - self._asked < QUEUE_EVERY_S or not (directory / "batches").is_dir():
            return
        self._asked = time.monotonic()
        local = any("processes" in batch for batch in batches(directory))
        try:
            self.queue = in_queue(directory, "local" if local else "slurm")
        except OSError:  # no squeue on this machine
            self.queue = None

    def _read(self, path: Path) -> Any:
        """The JSON of a file, read again only after it has changed; None for none, or for a broken one."""
        try:
            status = path.stat()
            mark = (status.st_mtime_ns, status.st_size)
            if path not in self._files or self._files[path][0] != mark:
                content = orjson.loads(path.read_bytes())
                self._files[path] = (mark, _needed(content))
        except (OSError, ValueError):
            return None
        return self._files[path][1]


def progress_of(
    title: str, state: str, lines: list[dict[str, Any]], total: int | None, says: str
) -> Standing:
    """The standing of a training by the last lines of its log; time is left only for one that runs."""
    if not lines:
        return Standing(title, state, total=total, says=says)
    first, last = lines[0], lines[-1]
    done = int(last["iteration"]) + 1
    left = None
    steps = last["iteration"] - first["iteration"]
    if state == RUNNING and total and steps > 0 and "time_s" in last and "time_s" in first:
        left = (last["time_s"] - first["time_s"]) / steps * max(0, total - done)
    if state == RUNNING and total is not None and done >= total:
        says, left = "trained; predicts and scores", None
    return Standing(title, state, done, total, last.get("total_loss"), left, says)


def tail(path: Path) -> list[dict[str, Any]]:
    """The whole lines at the end of a log.jsonl that have an iteration; an empty list where there is none."""
    found = []
    for line in _end(path).splitlines():
        with contextlib.suppress(ValueError):  # the first may be cut, the last half written
            entry = orjson.loads(line)
            if isinstance(entry, dict) and isinstance(entry.get("iteration"), int):
                found.append(entry)
    return found


def _needed(content: Any) -> Any:
    """Cuts a record to what is shown of it: a thousand whole ones would be much."""
    record = content.get("record", content)
    keys = (
        *("suite", "id", "init", "seed", "candidate", "status", "error", "metrics", "primary"),
        *("truncated", "evaluated"),
    )
    kept = {key: record[key] for key in keys if key in record}
    kept["recipe"] = {"SOLVER.MAX_ITER": record.get("recipe", {}).get("SOLVER.MAX_ITER")}
    return {"record": kept} if "record" in content else kept


def _said(record: Mapping[str, Any]) -> str:
    """The primary metric of a finished cell, else the line of its error."""
    if record["status"] != "finished":
        return ((record.get("error") or "").strip().splitlines() or [""])[0]
    value = flat_metrics({"metrics": record["metrics"]}).get(record.get("primary") or "")
    return "" if value is None else f"{record['primary']} {value:.1f}"


def _end(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - TAIL))
            return file.read()
    except OSError:
        return b""


def _last_line(path: Path) -> str:
    lines = _end(path).decode(errors="replace").strip().splitlines()
    return lines[-1][:200] if lines else ""
