"""Adds something to a copy of our packages, as CONTRIBUTING says it, and tries the copy."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from tests.conftest import ROOT
from tests.source import OURS

Edits = Mapping[str, tuple[str, str]]  # file -> (a text that it has once, what takes its place)


def edited_copy(folder: Path, edits: Edits) -> Path:
    """Copies the packages into an empty folder and edits the copy."""
    for package in OURS:
        shutil.copytree(ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__"))
    edit(folder, edits)
    return folder


def edit(copy: Path, edits: Edits) -> None:
    """Edits a copy once more."""
    for name, (before, after) in edits.items():
        text = (copy / name).read_text(encoding="utf-8")
        assert text.count(before) == 1, f"{name} has no longer, or twice, the line {before!r}"
        (copy / name).write_text(text.replace(before, after), encoding="utf-8")


def run_in(copy: Path, code: str) -> str:
    """The output of Python code that imports the copy."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=copy, env=environment, capture_output=True, text=True, timeout=100
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
