"""Finds the cause among the errors of several processes: each tells its own before a neighbour misses it.

A process that fails leaves the others in a collective, and these then fail of their lost connection. So an
error is on disk before the process leaves its group, and the reader takes the cause from among the echoes.
"""

from __future__ import annotations

import json
import os
import time
import traceback
from contextlib import suppress
from pathlib import Path
from typing import Any

from transfer.errors import DataError, DiskError, Interrupted, TransferError
from transfer.process.disk import disk_line, is_full

# What a process raises on purpose: the reader raises the like. All else is a RuntimeError with its trace.
_KINDS = (TransferError, DataError, DiskError, FloatingPointError, Interrupted, OSError)
_RAISED: dict[str, type[Exception]] = {kind.__name__: kind for kind in _KINDS}


def tell(error: Exception, directory: Path, rank: int) -> None:
    """Writes the error of process `rank` into `directory`, whole or not at all; a full disk stays full."""
    text = str(error)
    if is_full(error) and not isinstance(error, DiskError):
        error, text = DiskError(), disk_line(error, str(directory))
    told = {
        "type": _kind(error),
        "text": text,
        "trace": "".join(traceback.format_exception(error)),
        "echo": is_echo(error),
        "time_ns": time.time_ns(),
    }
    with suppress(OSError):
        directory.mkdir(parents=True, exist_ok=True)
        unfinished = directory / f"{rank}.part"
        unfinished.write_text(json.dumps(told), encoding="utf-8")
        os.replace(unfinished, directory / f"{rank}.json")


def cause(directory: Path, patience_s: float = 0, echoes: bool = False) -> Exception | None:
    """The error that came first among those told in `directory`, waiting up to `patience_s` for one.

    Lost connections come first in no case: where nobody told anything else it is None, or with `echoes` the
    first of them.
    """
    deadline = time.monotonic() + patience_s
    while not (told := _told(directory, echoes)) and time.monotonic() < deadline:
        time.sleep(0.1)
    if not told:
        return None
    first = min(told, key=lambda entry: (entry["echo"], entry["time_ns"]))
    if first["type"] in _RAISED:
        return _RAISED[first["type"]](first["text"])
    return RuntimeError(first["trace"].rstrip())  # it ends with kind and text


def _told(directory: Path, echoes: bool) -> list[dict[str, Any]]:
    told: list[dict[str, Any]] = []
    for path in directory.glob("*.json"):
        with suppress(OSError, ValueError):
            told.append(json.loads(path.read_text(encoding="utf-8")))
    return [entry for entry in told if echoes or not entry["echo"]]


def forget(directory: Path) -> None:
    """Removes what an earlier attempt told."""
    for path in (*directory.glob("*.json"), *directory.glob("*.part")):
        path.unlink(missing_ok=True)


def _kind(error: Exception) -> str:
    """The name of the nearest class that the reader can raise, else of the error's own."""
    return next(
        (kind.__name__ for kind in type(error).__mro__ if kind.__name__ in _RAISED), type(error).__name__
    )


def is_echo(error: Exception) -> bool:
    """Whether the error may only come from a neighbour that has gone; gloo and NCCL raise these."""
    import torch.distributed as dist

    text = str(error)
    lost = ("Connection closed by peer", "Connection reset by peer", "Broken pipe", "gloo/transport", "NCCL")
    return isinstance(error, dist.DistError) or (type(error) is RuntimeError and any(w in text for w in lost))
