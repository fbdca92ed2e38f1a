"""The command line of benchmarks/run.py for tests: a miniature's options, and a process in the background."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.conftest import NARROW_KEYS, ROOT, TINY_KEYS

QUICK_KEYS = [*TINY_KEYS, *NARROW_KEYS]  # a narrow network and few iterations; overrides come last


def miniature(
    *inits: str | Path,
    suite: str | Path | Sequence[str] = "voc_c4",
    data_root: Path | None = None,
    output: Path | None = None,
    engine: str = "torchvision",
) -> list[str]:
    """Options of a miniature on a CPU; what is None is left out."""
    suites = [suite] if isinstance(suite, str | Path) else suite
    words: list[str | Path] = ["--suite", *suites, "--smoke", "--engine", engine, "--device", "cpu"]
    words += ["--init", *inits] if inits else []
    words += ["--data-root", data_root] if data_root else []
    words += ["--output", output] if output else []
    return list(map(str, words))


def start(words: Sequence[str], launcher: Sequence[str] = (), **options: Any) -> subprocess.Popen[str]:
    """Starts the command in a process group of its own; on one thread, for equal bits."""
    return subprocess.Popen(
        [sys.executable, *launcher, str(ROOT / "benchmarks" / "run.py"), *words],
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"},
        start_new_session=True,
        text=True,
        **options,
    )
