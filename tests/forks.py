"""Starts benchmarks/run.py and its cells in forks of the test process, which cost no import of torch.

To the kernel a fork is a process as any other, with an id, a group, signals, files and an end of its own. But
it finds every module imported and has our hash seed: each command is also started really, at least once.
"""

from __future__ import annotations

import faulthandler
import functools
import gc
import importlib
import os
import resource
import signal
import subprocess
import sys
import traceback
import types
import warnings
from collections.abc import Callable, Mapping, Sequence
from multiprocessing import resource_tracker
from typing import Any, NoReturn

from tests.conftest import ROOT, forks_can_learn

Function = Callable[[], int | None]
DEFAULT = (signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)
IGNORED = (signal.SIGPIPE, signal.SIGXFSZ)  # by every Python
FD_LIMIT = 1 << 16
# What the command and a cell import; the test process does it once.
MODULES = (
    *("benchmarks.run", "benchmarks.launch.tune", "benchmarks.tables", "benchmarks.cell"),
    *("transfer.engines.torchvision.engine", "transfer.evaluation.evaluate"),
    *("matplotlib.pyplot", "scipy.stats"),
)


class Fork(subprocess.Popen[str]):
    """A Popen whose child calls a function and ends with the exit code that it returns."""

    def __init__(self, function: Function, env: Mapping[str, str] | None = None, **options: Any):
        become = functools.partial(_become, function, env)
        super().__init__([sys.executable], preexec_fn=become, restore_signals=False, **options)


def _become(function: Function, env: Mapping[str, str] | None) -> NoReturn:
    """Leaves what belongs to the test process, calls the function, and ends without its clearing up."""
    code: Any = 70
    try:
        os.closerange(3, FD_LIMIT)  # the pipe through which Popen waits for another program, too
        resource_tracker._resource_tracker.__init__()  # that of multiprocessing went with its pipe
        gc.freeze()
        gc.enable()
        for number in (*DEFAULT, *IGNORED):
            signal.signal(number, signal.SIG_IGN if number in IGNORED else signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        if env is not None:
            os.environ.clear()
            os.environ.update(env)
        sys.stdout = os.fdopen(1, "w", closefd=False)
        sys.stderr = os.fdopen(2, "w", buffering=1, errors="backslashreplace", closefd=False)
        faulthandler.enable(sys.stderr)
        warnings.simplefilter("ignore")
        code = function()
    except SystemExit as stop:
        code = stop.code
    except BaseException:
        traceback.print_exc()
        code = 1
    finally:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        os._exit(code or 0)


def start_benchmark(
    words: Sequence[str], limit_file_size: int | None = None, **options: Any
) -> subprocess.Popen[str]:
    """Starts the command on one thread, as `python benchmarks/run.py WORDS` would.

    It is such a process where no fork can learn.
    """
    limit = functools.partial(_limit, limit_file_size)
    env = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
    if not forks_can_learn():
        command = [sys.executable, str(ROOT / "benchmarks" / "run.py"), *words]
        return subprocess.Popen(command, env=env, text=True, preexec_fn=limit, **options)
    for name in MODULES:
        importlib.import_module(name)
    return Fork(functools.partial(_benchmark, list(words), limit), env, text=True, **options)


def _limit(file_size: int | None) -> None:
    if file_size is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (file_size, file_size))


def _benchmark(words: list[str], limit: Callable[[], None]) -> int:
    import torch

    from benchmarks import run
    from benchmarks.launch import local
    from converters.command import command

    torch.set_num_threads(1)
    limit()
    local.subprocess = types.SimpleNamespace(Popen=_start_cell)  # type: ignore[attr-defined]
    sys.argv = ["benchmarks/run.py", *words]
    return command(run.main)


def _start_cell(words: Sequence[str], **options: Any) -> Fork:
    """Stands for `python -m benchmarks.cell JOB`."""
    assert words[1:3] == ["-m", "benchmarks.cell"], words
    return Fork(functools.partial(_cell, words[3]), **options)


def _cell(job: str) -> NoReturn:
    from benchmarks import cell
    from transfer.process.distributed import leave

    sys.argv = ["benchmarks.cell", job]
    leave(cell.main(job))
