"""Finds what a number was made with: versions, machine, commit. Nothing heavy is imported for it."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import platform
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

# Raise an engine's revision whenever our side of it could move a number.
REVISION = {"torchvision": 4, "detectron2": 3, "frozen": 1}
PACKAGES = ("torch", "torchvision", "numpy", "pillow", "pycocotools", "shapely")


def engine_version(engine: str) -> str:
    """The library's version and our revision, for a cell's identity."""
    packages = {"frozen": "torchvision"}  # whose blocks a frozen ResNet is made of
    library = _detectron2_version() if engine == "detectron2" else _version(packages.get(engine, engine))
    return f"{library}+r{REVISION[engine]}"


def environment(gpu: str | None, threads: int, output: Path) -> dict[str, Any]:
    """The environment field of a record; `gpu` is the name of the device that ran, None on a CPU.

    The process's `threads` are in it, for another number of them rounds differently. Folders of the machine
    are not, for records are passed on: a file has its place below `output`, or its name.
    """
    versions = {name: _version(name) for name in PACKAGES}
    return {
        "python": platform.python_version(),
        **versions,
        "detectron2": _detectron2_version(),
        "platform": platform.platform(),
        "cpu": cpu_name(),
        "gpu": gpu,
        "threads": threads,
        "git_commit": _commit(),
        "command": [_placed(word, output.absolute()) for word in sys.argv],
    }


def _placed(word: str, folder: Path) -> str:
    path = Path(word)
    if not path.is_absolute():
        return word
    return path.relative_to(folder).as_posix() if path.is_relative_to(folder) else path.name


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _detectron2_version() -> str | None:
    """Reads it from the source: a checkout on PYTHONPATH has no metadata, and importing it imports torch."""
    spec = importlib.util.find_spec("detectron2")
    if spec is None or spec.origin is None:
        return None
    found = re.search(r"__version__ = \"([^\"]+)\"", Path(spec.origin).read_text(encoding="utf-8"))
    return found[1] if found else "unknown"


def cpu_name() -> str:
    """The maker's name of the processor."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return platform.processor()
    found = re.search(r"^model name\s*: (.+)$", lines, re.MULTILINE)
    return found[1] if found else platform.processor()


def _commit() -> str | None:
    root = Path(__file__).resolve().parents[2]
    if not (root / ".git").exists():
        return None  # an installed copy; a repository around it is not ours
    command = ["git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None
