"""Images on disk and the command line, for all tests of pre-training."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]


class Unsaved:
    """A saver of a run of which nothing is kept."""

    def due(self, iteration: int) -> bool:
        return False

    def save(self, iteration: int) -> None:
        return


def write_images(folder: Path, count: int, size: int = 40, classes: int = 2, seed: int = 0) -> Path:
    """JPEGs of blocks of random colour in class folders c0, c1, ..."""
    rng = np.random.default_rng(seed)
    for number in range(count):
        path = folder / f"c{number % classes}" / f"{number:03d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        blocks = rng.integers(0, 256, (5, 5, 3), dtype=np.uint8)
        Image.fromarray(blocks).resize((size + number % 7, size), Image.Resampling.BICUBIC).save(
            path, quality=90
        )
    return folder


def overriding(fixed: list[str], more: list[str]) -> list[str]:
    """Both lists of options, without those of `fixed` that `more` gives too: a command takes each once."""
    kept: list[str] = []
    taking = True
    for word in fixed:
        if word.startswith("-"):
            taking = word not in more
        if taking:
            kept.append(word)
    return kept + more


def module(name: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Runs `python -m name ...` in the root of this checkout, one thread a process."""
    paths = [str(ROOT), os.environ.get("PYTHONPATH")]
    return subprocess.run(
        [sys.executable, "-m", name, *map(str, arguments)],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(filter(None, paths))},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
