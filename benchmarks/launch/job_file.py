"""Writes the job file of a planned cell: all that its process must know, its open record included."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import datetime, timezone
from pathlib import Path

from boltons.fileutils import atomic_save

from benchmarks.launch.job import ERRORS, Job, read_job
from benchmarks.planning.cells import Cell
from benchmarks.planning.inits import slug, store_backbone
from benchmarks.planning.labelled import own_to_json
from benchmarks.planning.request import Request
from results.record import AnyTime, Record
from results.schema import SCHEMA
from results.store import find_record
from transfer.process.causes import forget
from transfer.recipes.architectures import architecture_of


def write_job(cell: Cell, request: Request, device: str | None, rerun: bool = False) -> Job:
    """Writes the cell's job file and its backbone; with `rerun` a finished cell runs again from the start."""
    directory = cell_directory(cell, request.output)
    directory.mkdir(parents=True, exist_ok=True)
    forget(directory / ERRORS)
    backbone = store_backbone(cell.init, request.output / "inits")
    before = find_record(request.output, cell.suite.name, cell.id)
    content = {
        "record": open_record(cell, request, before),
        "replaces": before.get("finished_at") if rerun and before else None,
        "from_start": rerun and before is not None and before["status"] in ("finished", "failed"),
        "backbone": None if backbone is None else str(backbone.absolute()),
        **({"code": cell.init.code.place} if cell.init.code else {}),
        **({"model": str(cell.model.absolute())} if cell.model else {}),
        "data_root": str(request.data_root.absolute()),
        "datasets": {name: own.to_json() for name, own in cell.own.items()},
        "labelled": own_to_json(cell.labelled),
        "directory": str(directory.absolute()),
        "output": str(request.output.absolute()),
        "engine": cell.identity["engine"],
        "num_processes": request.num_processes,
        "device": device,
        "trackers": asdict(request.trackers),
    }
    path = directory / "job.json"
    with atomic_save(str(path), text_mode=True, overwrite_part=True) as file:
        json.dump(content, file, indent=1)
    return read_job(path.absolute())


def cell_directory(cell: Cell, output: Path) -> Path:
    """The folder of a cell's log, checkpoints, predictions and picture; a cell has one, by its id.

    A cell that was begun as a trial of another row, or under another name of its row, goes on in its folder.
    """
    folder = output / "cells" / cell.suite.name
    begun = sorted(folder.glob(f"*-{cell.id}"))
    return begun[-1] if begun else folder / f"{slug(cell.init.label)}-{cell.id}"


def open_record(cell: Cell, request: Request, before: Record | None) -> Record:
    """The record of a cell that is about to run; one that goes on keeps the start of `before`."""
    usual = cell.init.plain
    family = architecture_of(cell.recipe).family
    manifest = {"source": "random"} if usual else cell.init.manifest(family)
    now = datetime.now(timezone.utc).isoformat(timespec="seconds")
    goes_on = before is not None and before["status"] != "finished"
    own_recipe: AnyTime = {"variant": cell.variant} if cell.variant else {}
    if cell.candidate:
        own_recipe["candidate"] = cell.candidate
    if cell.tuned:
        own_recipe["tuned"] = cell.tuned
    if cell.truncated:
        own_recipe["truncated"] = cell.truncated
    if cell.init.checkpoints:
        own_recipe["checkpoints"] = cell.init.checkpoints
    if cell.evaluated:
        own_recipe["evaluated"] = cell.evaluated
    return {
        "schema": SCHEMA,
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
        "recipe": cell.recipe,
        "scaling": cell.scaling.entry(),
        **own_recipe,
        "overrides": [list(pair) for pair in request.overrides],
        "init_manifest": manifest,
        "data": {
            "train": [{"name": d.name, **d.summary} for d in cell.training],
            "test": {"name": cell.test.name, **cell.test.summary},
        },
        "engine": {"name": cell.identity["engine"], "version": cell.identity["engine_version"]},
        "started_at": before["started_at"] if goes_on and before and before.get("started_at") else now,
        "error": None,
    }
