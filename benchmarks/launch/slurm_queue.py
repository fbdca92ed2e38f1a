"""Finds the cells that are in a cluster's queue, from any later call.

A batch file, written before the jobs are submitted, says which cells a batch holds; the batch's name is that
of its jobs, and squeue knows those.
"""

from __future__ import annotations

import contextlib
import getpass
import json
import os
import subprocess
from pathlib import Path
from typing import Any

from boltons.fileutils import atomic_save


def new_batch(directory: Path, name: str, jobs: list[str]) -> Path:
    """Notes which cells are about to be submitted under that name; returns the note's file."""
    file = directory / "batches" / f"{name}.json"
    _write(file, {"name": name, "jobs": jobs})
    return file


def add_processes(file: Path, processes: list[int]) -> None:
    """Adds the processes of a batch: without a Slurm they are the queue."""
    _write(file, json.loads(file.read_text(encoding="utf-8")) | {"processes": processes})


def batches(directory: Path) -> list[dict[str, Any]]:
    """The batches that were ever submitted from here, each with its name and its job files."""
    files = sorted((directory / "batches").glob("*.json"))
    return [json.loads(file.read_text(encoding="utf-8")) for file in files]


def in_queue(directory: Path, cluster: str) -> dict[str, str] | None:
    """Job file -> state of the cells of earlier batches that are still queued; None if squeue fails."""
    found: dict[str, str] = {}
    if cluster == "local":
        for batch in batches(directory):
            pairs = zip(batch["jobs"], batch.get("processes", []), strict=False)
            found |= {path: "RUNNING" for path, process in pairs if _alive(process)}
        return found
    command = ["squeue", "--noheader", "--array", "--user", getpass.getuser(), "--format", "%j|%K|%T"]
    answer = subprocess.run(command, capture_output=True, text=True)
    if answer.returncode:
        return None
    named = {batch["name"]: batch["jobs"] for batch in batches(directory)}
    for line in answer.stdout.splitlines():
        name, index, state = line.strip().rsplit("|", 2)
        if name in named:  # a batch of one is no array and has no index
            found[named[name][int(index) if index.isdecimal() else 0]] = state
    return found


def _write(file: Path, content: dict[str, Any]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    with atomic_save(str(file), text_mode=True, overwrite_part=True) as out:
        json.dump(content, out, indent=1)


def _alive(process: int) -> bool:
    with contextlib.suppress(ChildProcessError):
        if os.waitpid(process, os.WNOHANG)[0]:  # our own child, and it has ended
            return False
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True
