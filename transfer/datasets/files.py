"""Helps the readers with files: expected paths, directory listings and split lists."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from transfer.datasets.findings import Findings
from transfer.errors import DataError


def need(path: Path, name: str, root: Path, layout: Sequence[str]) -> Path:
    """Returns `path` if it exists; else DataError says what is expected where, and what is there instead."""
    if path.exists():
        return path
    inner = [d for d in ("VOCdevkit", "datasets", "data") if (root / d / path.relative_to(root)).exists()]
    if inner:
        hint = f"it is in {root / inner[0]}: pass that as --data-root"
    elif path.parent.is_dir():
        there = sorted(p.name for p in path.parent.iterdir())[:6]
        hint = f"{path.parent} holds only: {', '.join(there) or 'nothing'}"
    else:
        hint = "pass --data-root DIR or set DETECTRON2_DATASETS"
    raise DataError(f"{name}: {path} is missing; expected under {root}: {', '.join(layout)}; {hint}")


def listing(directory: Path) -> set[str]:
    """Names of the files in a directory, by one listing.

    A stat for each of 16,000 images would cost seconds on a network disk.
    """
    with os.scandir(directory) as entries:
        return {entry.name for entry in entries if not entry.is_dir(follow_symlinks=False)}


def read_split(path: Path, findings: Findings) -> list[str]:
    """Image ids of a split file, one per line; DataError if there are none.

    Bad or repeated lines go to `findings`.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except UnicodeDecodeError as e:
        raise DataError(
            f"{path}: not UTF-8 text ({e.reason} at byte {e.start}); expected one image id per line"
        ) from e
    ids: dict[str, None] = {}
    for number, line in enumerate(lines, 1):
        words = line.split()
        if not words:
            continue
        if len(words) > 1 or "/" in words[0]:
            findings.error(
                "bad-line", path.name, f"line {number}", "image id", line.strip(), "expected one id a line"
            )
        elif words[0] in ids:
            findings.error(
                "duplicate-image", path.name, f"line {number}", "image id", words[0], "listed twice"
            )
        else:
            ids[words[0]] = None
    if not ids and not findings.errors:
        raise DataError(f"{path}: no image ids; expected one per line")
    return list(ids)
