"""Begins and ends every command. No traceback is shown where a requirement is missing or nobody reads.

All packages import this module and `options.py` beside it, so both import nothing but the standard library.
"""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
PYTHON = (3, 10)
# The names under which the requirements of setup.py are imported.
REQUIRED = ("torch", "torchvision", "numpy", "PIL", "pandas", "orjson", "yaml", "yacs", "rich", "boltons",
            "safetensors", "matplotlib", "scipy", "simplejpeg", "cv2", "braceexpand", "pycocotools", "lvis",
            "cityscapesscripts", "shapely")  # fmt: skip


@dataclass(frozen=True)
class Verb:
    """A verb of the command `moco-transfer`: the module that it runs, and the words put before the user's."""

    module: str
    says: str
    words: tuple[str, ...] = ()


VERBS = {
    "run": Verb("benchmarks.run", "suites x inits x trials, and their tables"),
    "table": Verb("results", "a table a suite, our rows beside the published ones", ("table",)),
    "compare": Verb("results", "one row against another, or all over all suites", ("compare",)),
    "report": Verb("results", "one self-contained page", ("report",)),
    "paper": Verb("results", "the tables of the papers, with our rows", ("paper",)),
    "verify": Verb("results", "whether a record was altered", ("verify",)),
    "merge": Verb("results", "joins the records of directories", ("merge",)),
    "publish": Verb("results", "a bundle that others can check, merge and score again", ("publish",)),
    "pull": Verb("results", "checks somebody's bundle and merges it", ("pull",)),
    "rescore": Verb("benchmarks.rescore", "every number of a bundle again, from its predictions"),
    "keep": Verb("results", "adds runs to the folder of a study", ("keep",)),
    "evidence": Verb("results", "the page of all studies", ("evidence",)),
    "convert": Verb("converters", "any checkpoint to a proven backbone; --inspect, --list"),
    "certify": Verb("converters", "holds a backbone's function against its publisher's", ("certify",)),
    "pretrain": Verb("pretrain", "pre-trains a backbone on a folder of images"),
    "watch": Verb("benchmarks.watch", "each new checkpoint of a running pre-training becomes a row"),
    "knn": Verb("pretrain.knn", "kNN accuracy of a checkpoint of pretrain"),
    "linear": Verb("pretrain.linear", "linear classification on a checkpoint of pretrain"),
    "features": Verb("pretrain.features", "features of a checkpoint of pretrain"),
    "data": Verb("transfer.datasets", "data sets: list, check, prepare, verify, synthetic"),
    "evaluate": Verb("transfer.evaluation", "scores a file of predictions"),
    "study": Verb("benchmarks.studies", "studies on real images, a command each"),
    "study-data": Verb("benchmarks.studies.data", "prepares the small sets of the studies"),
    "top": Verb("benchmarks.top", "what of a grid runs, how far, what failed, what waits"),
    "demo": Verb("benchmarks.demo", "pre-train, convert, fine-tune, table: in miniature"),
    "doctor": Verb("benchmarks.doctor", "whether this machine is ready"),
}
COMMAND = "moco-transfer"  # the installed command, and the distribution that brings it
LIBRARIES = "OpenCV needs two: apt-get install libgl1 libglib2.0-0 (or what your system calls them)"
INTERRUPTED = 130  # what a shell says of a program that SIGINT ended
CLOSED = 141  # what a shell says of a program that SIGPIPE ended: here, too, nobody reads our output


def command(main: Callable[[], int]) -> int:
    """Calls `main` and returns its exit code; 2 where this Python is too old or a requirement is missing.

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
    except KeyboardInterrupt:
        print("stopped by Ctrl-C", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the interpreter flushes once more
        return CLOSED
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package not in REQUIRED:
            raise
        return _refuse(f"{package} is not installed in {sys.executable}")
    except ImportError as error:  # a package is there, and its library wants one of the system's
        library, _, what = str(error).partition(":")
        if "cannot open shared object file" not in what:
            raise
        print(f"error: {library} is missing in this system; {LIBRARIES}", file=sys.stderr)
        return 2


def version() -> str:
    """Returns the version that is installed; of a checkout that is not installed, its name."""
    from importlib.metadata import PackageNotFoundError
    from importlib.metadata import version as installed

    try:
        return installed(COMMAND)
    except PackageNotFoundError:
        return "of a checkout that is not installed"


def add_version(parser: argparse.ArgumentParser) -> None:
    """Adds --version to the parser of a command."""
    parser.add_argument("--version", action=_Version, nargs=0, help="print the version, then stop")


class _Version(argparse.Action):
    """Prints the version, which is looked for only then, and ends the program."""

    def __call__(self, parser: Any, namespace: Any, values: Any, option_string: str | None = None) -> None:
        print(f"{COMMAND} {version()}")
        parser.exit()


def spelled(module: str, words: str) -> str:
    """Returns the line by which a user runs a module of ours: in a checkout, or by the installed command."""
    if (ROOT / "setup.py").is_file():
        return f"python -m {module} {words}".rstrip()
    first, _, rest = words.partition(" ")
    for taken, left in (((first,), rest), ((), words)):
        for verb, row in VERBS.items():
            if (row.module, row.words) == (module, taken):
                return f"moco-transfer {verb} {left}".rstrip()
    raise KeyError(f"{module} has no verb")


def typed(words: Sequence[str]) -> str:
    """Returns the words behind `python` as a user types them: where a module of ours has a verb, by that."""
    if words[0] == "-m":
        with suppress(KeyError):
            return spelled(words[1], shlex.join(words[2:]))
    return f"python {shlex.join(words)}"


def _refuse(what: str, newer: bool = False) -> int:
    make = f"`make{' PYTHON=python3.12' if newer else ''} .venv/.installed` in {ROOT}"
    pip = "" if newer else f", or `pip install -e {ROOT}`"
    fix = f"run {make} and start {ROOT / '.venv' / 'bin' / 'python'}{pip}"
    if not (ROOT / "setup.py").is_file():
        fix = "install the wheel again, with its requirements"
    print(f"error: {what}; {fix}", file=sys.stderr)
    return 2
