"""Keeps checkpoints that survive any kill: written aside, synced, renamed, and proven by hash on loading.

`checkpoints.json` lists the checkpoints newest first with their SHA-256; it is renamed into place after the
file that it names. Loading takes the newest that verifies. Nothing but tensors and plain types is stored, so
`weights_only` loading suffices.
"""

from __future__ import annotations

import hashlib
import io
import json
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from boltons.fileutils import atomic_save

from transfer.process.disk import writing

log = logging.getLogger(__name__)

INDEX = "checkpoints.json"
KEPT = 2


@dataclass(frozen=True)
class Loaded:
    """A verified checkpoint."""

    iteration: int  # the number of finished iterations
    content: dict[str, Any]


def save_checkpoint(directory: Path, iteration: int, content: dict[str, Any]) -> Path:
    """Stores `content` as the state after `iteration` iterations and removes all but the newest two.

    Returns its file. Raises DiskError (a full disk, say) with the previous checkpoints intact.
    """
    directory.mkdir(parents=True, exist_ok=True)
    buffer = io.BytesIO()
    torch.save(content, buffer)
    name = f"iter_{iteration:07d}.pth"
    path = directory / name
    with writing(path, buffer.getbuffer().nbytes), atomic_save(str(path), overwrite_part=True) as file:
        file.write(buffer.getbuffer())
    entry = {"iteration": iteration, "file": name, "sha256": hashlib.sha256(buffer.getbuffer()).hexdigest()}
    entries = [entry, *(e for e in _entries(directory) if e["iteration"] != iteration)]
    entries.sort(key=lambda e: -e["iteration"])
    index = directory / INDEX
    with writing(index), atomic_save(str(index), text_mode=True, overwrite_part=True) as file:
        json.dump(entries[:KEPT], file, indent=1)
    for old in entries[KEPT:]:
        (directory / old["file"]).unlink(missing_ok=True)
    return path


def load_checkpoint(directory: Path) -> Loaded | None:
    """The newest checkpoint that verifies, None without one; a damaged one is passed over with a warning."""
    for entry in _entries(directory):
        path = directory / entry["file"]
        try:
            data = path.read_bytes()
        except OSError as error:
            log.warning("checkpoint %s cannot be read (%s); trying the one before", path, error)
            continue
        if hashlib.sha256(data).hexdigest() != entry["sha256"]:
            log.warning("checkpoint %s is damaged (its SHA-256 differs); trying the one before", path)
            continue
        content = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
        return Loaded(entry["iteration"], content)
    return None


def remove_checkpoints(directory: Path) -> None:
    """Deletes the checkpoints of a finished run: index first, so that no index names a missing file."""
    entries = _entries(directory)
    (directory / INDEX).unlink(missing_ok=True)
    for entry in entries:
        (directory / entry["file"]).unlink(missing_ok=True)


def _entries(directory: Path) -> list[dict[str, Any]]:
    try:
        entries: list[dict[str, Any]] = json.loads((directory / INDEX).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return []
    return entries
