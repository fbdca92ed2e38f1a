"""Ends all processes within seconds where one fails, whose own words reach the user at once.

The others only see a connection that closed, or wait in NCCL for a message that never comes. So the process
that fails says so in the store through which all met, while its connections are still open: whoever sees one
close finds the claim there and ends without a word. No process leaves the group after an error, for in NCCL's
destroy it would wait for the others, and they for it.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import threading
import time
import traceback
from pathlib import Path
from typing import NoReturn

from torch import distributed as dist

from converters.options import visible
from pretrain.errors import complain, line_of, warn
from pretrain.process.signals import Stopped

_CLAIM = "pretrain/failed"
POLL_S = 0.5
GRACE_S = 5.0  # a launcher needs less to tell of a process that was killed and to end the rest
LINGER_S = 1.0  # so long the others stay, so that a launcher sees the one with the cause end first
MEMORY_ADVICE = "lower --batch-size (and --lr with it), take more GPUs, or use --precision bf16"


class Alarm:
    """Watches for the failure of any process, and tells that of this one."""

    def __init__(self, store: dist.Store) -> None:
        self._store = store
        self._over = threading.Event()
        # A connection of its own: the main thread may wait in its own for minutes.
        self._thread = threading.Thread(target=self._watch, args=(store.clone(),), name="alarm", daemon=True)
        self._thread.start()

    def _watch(self, store: dist.Store) -> None:
        while not self._over.wait(POLL_S):
            try:
                failed = store.check([_CLAIM])
            except RuntimeError:  # where no launcher holds the store it goes with process 0
                return
            if failed and not self._over.wait(LINGER_S):
                _end(1)

    def off(self) -> None:
        """Ends the watch, before a process leaves the group in peace."""
        self._over.set()
        self._thread.join()

    def fail(self, error: BaseException) -> NoReturn:
        """Tells the error, unless it is another's echo, and ends this process without leaving the group.

        The exit code is 2 for bad input, 128 + N after signal N, else 1.
        """
        self._over.set()
        signal.signal(signal.SIGTERM, signal.SIG_DFL)  # what a launcher sends to the rest ends us at once
        if isinstance(error, Stopped):
            warn(str(error))
            _end(128 + error.number)
        if not self._is_first(patience=GRACE_S if is_echo(error) else 0):
            time.sleep(LINGER_S)
            _end(1)
        _tell(error)
        _end(1 if line_of(error, "") is None else 2)

    def _is_first(self, patience: float) -> bool:
        """Whether no other process failed before; a cause may come for `patience` seconds after its echo."""
        deadline = time.monotonic() + patience
        try:
            while time.monotonic() < deadline:
                if self._store.check([_CLAIM]):
                    return False
                time.sleep(0.1)
            return self._store.add(_CLAIM, 1) == 1
        except RuntimeError:  # the store is gone: better told twice than never
            return True


def is_echo(error: BaseException) -> bool:
    """Whether an error only says that another process is gone."""
    if line_of(error, "") is not None:
        return False
    if isinstance(error, dist.DistError):
        return True
    words = ("gloo", "NCCL", "Connection closed", "Connection reset", "Broken pipe")
    return isinstance(error, RuntimeError) and any(word in str(error) for word in words)


def _tell(error: BaseException) -> None:
    """Tells the error on stderr, and in the file that torchrun shows at its end as the root cause."""
    place = f"process {dist.get_rank()} of {dist.get_world_size()}"
    line = line_of(error, MEMORY_ADVICE)
    if is_echo(error):
        line = (
            f"lost another one, which was killed (out of memory?) or cut off "
            f"({' '.join(str(error).split())[:200]}); run the same command again to go on"
        )
    elif line is None:
        trace = "".join(traceback.format_exception(error))
        sys.stderr.write("".join(f"{visible(text)}\n" for text in trace.splitlines()))
        line = f"{type(error).__name__}: {' '.join(str(error).split())}"
    complain(f"{place}: {line}")
    if file := os.environ.get("TORCHELASTIC_ERROR_FILE"):
        details = {"py_callstack": line, "timestamp": str(int(time.time()))}  # the names are torchrun's
        with contextlib.suppress(OSError):  # it is told already
            Path(file).write_text(json.dumps({"message": {"message": line, "extraInfo": details}}))


def _end(code: int) -> NoReturn:
    """Ends the process at once, whatever its other threads and the GPU are waiting for."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            continue
    os._exit(code)
