"""Keeps the metrics of a run beside its log, from the moment they are known until a record holds them.

Files, pictures and records are written after the evaluation, and each of them can fail. Days of training must
not be lost by that.
"""

from __future__ import annotations

import json
from pathlib import Path

from boltons.fileutils import atomic_save

from transfer.process.disk import writing

FILE = "metrics.json"
Metrics = dict[str, dict[str, float | None]]


def keep_metrics(directory: Path, metrics: Metrics) -> None:
    """Writes {task: {name: percent}} to metrics.json, undefined ones as null; DiskError if that fails."""
    path = directory / FILE
    with writing(path), atomic_save(str(path), text_mode=True, overwrite_part=True) as file:
        json.dump(metrics, file, indent=1)


def kept_metrics(directory: Path) -> Metrics | None:
    """The metrics kept in the directory; None where there are none."""
    try:
        content: Metrics = json.loads((directory / FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return content


def forget_metrics(directory: Path) -> None:
    """Removes the kept metrics: a record holds them, or the run begins again."""
    (directory / FILE).unlink(missing_ok=True)
