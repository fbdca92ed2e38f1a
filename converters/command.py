"""Begins and ends every command. No traceback is shown where a requirement is missing or nobody reads.

All packages import this module and `options.py` beside it, so both import nothing but the standard library.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PYTHON = (3, 10)
# The names under which the requirements of setup.py are imported.
REQUIRED = ("torch", "torchvision", "numpy", "PIL", "pandas", "orjson", "yaml", "yacs", "rich", "boltons",
            "safetensors", "matplotlib", "scipy", "simplejpeg", "cv2", "braceexpand", "pycocotools", "lvis",
            "cityscapesscripts", "shapely")  # fmt: skip
CLOSED = 141  # what a shell says of a program that SIGPIPE ended: here, too, nobody reads our output


def command(main: Callable[[], int]) -> int:
    """Calls `main` and returns its exit code; 2 where this Python is too old or lacks a requirement.

    Characters that the terminal does not have are printed as question marks. Any other module that is missing
    is a fault of ours, and is raised.
    """
    if sys.version_info < PYTHON:
        found, needed = (".".join(map(str, version)) for version in (sys.version_info[:3], PYTHON))
        return _refuse(f"this is Python {found}, and {needed} or newer is needed", newer=True)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # None where it is closed
            stream.reconfigure(errors="replace")
    try:
        try:
            return main()
        finally:
            if sys.stdout:
                sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the interpreter flushes once more
        return CLOSED
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package not in REQUIRED:
            raise
        return _refuse(f"{package} is not installed in {sys.executable}")


def _refuse(what: str, newer: bool = False) -> int:
    make = f"`make{' PYTHON=python3.12' if newer else ''} .venv/.installed` in {ROOT}"
    pip = "" if newer else f", or `pip install -e {ROOT}`"
    fix = f"run {make} and start {ROOT / '.venv' / 'bin' / 'python'}{pip}"
    if not (ROOT / "setup.py").is_file():
        fix = "install the wheel again, with its requirements"
    print(f"error: {what}; {fix}", file=sys.stderr)
    return 2
