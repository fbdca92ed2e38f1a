"""Runs cells one after the other, each in a process of its own: a crash or kill of one touches no other."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from boltons.fileutils import atomic_save

from benchmarks.inits import slug, store
from benchmarks.plan import Cell, Request
from results.store import find_record, save_record
from transfer.config import flatten

ROOT = Path(__file__).resolve().parents[1]
STOPPED = (130, 143)  # exit codes of a cell that a signal stopped with its state saved


def run_cells(cells: Sequence[Cell], request: Request, device: str | None) -> int:
    """Runs the cells; returns the exit code: 0, 1 (a cell failed), 2 (bad input), 130 (stopped)."""
    worst = 0
    for number, cell in enumerate(cells, start=1):
        print(
            f"cell {number}/{len(cells)}: {cell.suite.name}, {cell.init.label}, seed {cell.seed}",
            file=sys.stderr,
        )
        code = _run(cell, request, device)
        if code in STOPPED:
            return 130
        worst = max(worst, min(code, 2))
    return worst


def cell_directory(cell: Cell, output: Path) -> Path:
    """Where a cell keeps its log, checkpoints, predictions and picture."""
    return output / "cells" / cell.suite.name / f"{slug(cell.init.label)}-{cell.id}"


def _run(cell: Cell, request: Request, device: str | None) -> int:
    directory = cell_directory(cell, request.output)
    directory.mkdir(parents=True, exist_ok=True)
    backbone = store(cell.init, request.output / "inits")
    record = open_record(cell, request)
    content = {
        "record": record,
        "backbone": None if backbone is None else str(backbone.absolute()),
        "data_root": str(request.data_root.absolute()),
        "datasets": {name: own.to_json() for name, own in cell.own.items()},
        "directory": str(directory.absolute()),
        "output": str(request.output.absolute()),
        "engine": request.engine,
        "num_processes": request.num_processes,
        "device": device,
    }
    save_record(record, request.output)
    job = directory / "job.json"
    with atomic_save(str(job), text_mode=True, overwrite_part=True) as file:
        json.dump(content, file, indent=1)
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    command = [sys.executable, "-m", "benchmarks.cell", str(job)]
    child = subprocess.Popen(command, env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)})
    code = _wait(child)
    if code in (-signal.SIGINT, -signal.SIGTERM):  # stopped before or behind the training loop
        save_record(record | {"status": "interrupted"}, request.output)
        print(f"stopped by {signal.Signals(-code).name}; the same command goes on", file=sys.stderr)
        return STOPPED[0]
    if code < 0:  # killed without a chance to say so
        reason = f"killed by {signal.Signals(-code).name}"
        hint = " (out of memory? lower SOLVER.IMS_PER_BATCH)" if code == -signal.SIGKILL else ""
        save_record(record | {"status": "failed", "error": reason + hint}, request.output)
        print(f"error: {cell.suite.name}, {cell.init.label}: {reason}{hint}", file=sys.stderr)
        return 1
    return code


def _wait(child: subprocess.Popen[bytes]) -> int:
    """The child's exit code; a stop signal to us goes on to the child, which saves its state first."""
    previous = {
        n: signal.signal(n, lambda number, _: child.send_signal(number))
        for n in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        return child.wait()
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def open_record(cell: Cell, request: Request) -> dict[str, Any]:
    """The record of a cell that is about to run."""
    before = find_record(request.output, cell.suite.name, cell.id)
    manifest = {"source": "random"} if cell.init.backbone is None else cell.init.backbone.manifest
    now = datetime.now(timezone.utc).isoformat(timespec="seconds")
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
        "overrides": [list(pair) for pair in request.overrides],
        "init_manifest": manifest,
        "data": {
            "train": [{"name": d.name, **d.summary} for d in cell.training],
            "test": {"name": cell.test.name, **cell.test.summary},
        },
        "engine": {"name": request.engine, "version": cell.identity["engine_version"]},
        "started_at": before["started_at"] if before and before.get("started_at") else now,
        "error": None,
    }
