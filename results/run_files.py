"""Reads the files that a run leaves beside its record: training log, AP per class, a sample picture.

    root/cells/<suite>/<init>-<id>/
        log.jsonl        {"iteration": .., "total_loss": .., "lr": .., "time_s": ..} a line
        per_class.json   {"bbox": {"AP50": {"dog": 71.2, ...}}}
        samples.png
        per_image.npz    what the trial did on every test image; see results/images/file.py
        tide.json        {"form": 1, "tasks": {"bbox": {"AP50": 41.2, "dAP": {"Cls": 3.1, ...}, "count": {..},
                         "per_class": {"AP50": {"dog": 71.2, ...}, "Cls": {...}}}}}

All of them are optional: a record moved alone still makes every table.
"""

from __future__ import annotations

import hashlib
import io
import json
import math
from pathlib import Path
from typing import Any

import orjson

from results.record import PerImage

PER_IMAGE = "per_image.npz"
TIDE, TIDE_FORM = "tide.json", 1
CELL_FILES = ("log.jsonl", "per_class.json", PER_IMAGE, TIDE, "samples.png")


def cell_directories(root: Path) -> dict[tuple[str, str], Path]:
    """(suite, record id) -> directory, by the id at its end: an init may be spelled otherwise on the disk."""
    found = sorted((root / "cells").glob("*/*-" + "?" * 16))
    return {(path.parent.name, path.name[-16:]): path for path in found if path.is_dir()}


def read_log(directory: Path) -> list[dict[str, float]]:
    """The log's lines with an iteration and a finite loss, in order of iteration; others are left out.

    A resumed run repeats the iterations since its last checkpoint: the last line of an iteration counts.
    """
    entries: dict[float, dict[str, float]] = {}
    try:
        lines = (directory / "log.jsonl").read_bytes().splitlines()
    except OSError:
        return []
    for line in lines:
        try:
            entry = orjson.loads(line)  # no NaN: a line with a diverged loss is left out
        except ValueError:
            continue
        if isinstance(entry, dict) and all(_is_number(entry.get(k)) for k in ("iteration", "total_loss")):
            entries[entry["iteration"]] = entry
    return [entries[iteration] for iteration in sorted(entries)]


def read_per_class(directory: Path) -> dict[str, dict[str, float | None]]:
    """{"bbox/AP50": {"dog": 71.2}}; empty where the file is missing or of another form."""
    try:
        content = json.loads((directory / "per_class.json").read_bytes())
        return {
            f"{task}/{name}": {str(c): v if _is_number(v) else None for c, v in classes.items()}
            for task, metrics in content.items()
            for name, classes in metrics.items()
        }
    except (OSError, ValueError, AttributeError):
        return {}


def read_errors(directory: Path) -> dict[str, dict[str, float]]:
    """{"bbox": {"AP50": 41.2, "dAP/Cls": 3.1, "count/Cls": 12, "class/Cls/dog": 2.0}} of a cell's tide.json.

    Empty where the file is missing or of another form: older cells have none.
    """
    try:
        content = json.loads((directory / TIDE).read_bytes())
        tasks = content["tasks"] if content["form"] == TIDE_FORM else {}
        found = {
            task: {
                "AP50": told["AP50"],
                **{
                    f"{part}/{kind}": value for part in ("dAP", "count") for kind, value in told[part].items()
                },
                **{
                    f"class/{k}/{c}": v
                    for k, classes in told["per_class"].items()
                    for c, v in classes.items()
                },
            }
            for task, told in tasks.items()
        }
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return {}
    return {task: {n: v for n, v in numbers.items() if _is_number(v)} for task, numbers in found.items()}


def vouched_per_image(directory: Path) -> dict[str, PerImage]:
    """The field of a record that names what is kept by image; empty where nothing is."""
    import numpy as np  # not above: tables without such files do without

    try:
        content = (directory / PER_IMAGE).read_bytes()
    except FileNotFoundError:
        return {}
    with np.load(io.BytesIO(content), allow_pickle=False) as file:
        images = len(file["ids"])
    return {"per_image": {"sha256": hashlib.sha256(content).hexdigest(), "images": images}}


def read_samples(directory: Path) -> bytes | None:
    """The bytes of samples.png, or None where there is no PNG."""
    try:
        content = (directory / "samples.png").read_bytes()
    except OSError:
        return None
    return content if content.startswith(b"\x89PNG\r\n\x1a\n") else None


def _is_number(value: Any) -> bool:
    # a diverged loss and a class without objects are written as NaN, which Python's json reads
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
