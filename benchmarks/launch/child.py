"""Starts child processes that find this copy of our packages, and lets them save their state at Ctrl-C."""

from __future__ import annotations

import functools
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("pretrain", "converters", "transfer", "results", "benchmarks")


def run(command: Sequence[str], **options: Any) -> int:
    """Runs a command; returns its exit code.

    Ctrl-C reaches it as well as this process, and it ends by itself once it has saved. subprocess.run would
    kill it after a quarter of a second.
    """
    process = subprocess.Popen(command, **options)
    while True:
        try:
            return process.wait()
        except KeyboardInterrupt:
            continue


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """The variables for a child that imports this very copy of our packages, wherever it is started."""
    paths = [*own_path(), *filter(None, [os.environ.get("PYTHONPATH")])]
    found = {"PYTHONPATH": os.pathsep.join(paths)} if paths else {}
    return {**os.environ, **found, **(extra or {})}


def own_path() -> list[str]:
    """Our folder for a child's PYTHONPATH; nothing where the child finds this copy by itself.

    An installed copy lies in a folder of its own in site-packages, and a checkout in its own: neither holds
    anything that would hide a module of the standard library or of others.
    """
    return [] if _is_found(os.environ.get("PYTHONPATH")) else [str(ROOT)]


@functools.lru_cache(maxsize=16)
def _is_found(_: str | None) -> bool:
    """Whether a Python started elsewhere imports this copy; asked once for each PYTHONPATH."""
    code = "import sys\nfor name in sys.argv[1:]: print(__import__(name).__file__)"
    asked = [sys.executable, "-c", code, *PACKAGES]
    told = subprocess.run(asked, cwd=os.sep, capture_output=True, text=True).stdout.splitlines()
    return [Path(line).resolve() for line in told] == [ROOT / name / "__init__.py" for name in PACKAGES]
