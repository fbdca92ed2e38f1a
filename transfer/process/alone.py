"""Lets one process at a time do a thing, by a lock on a file; others wait for it and say so."""

from __future__ import annotations

import errno
import fcntl
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from transfer.process.disk import writing

_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)


@contextmanager
def alone(path: Path, what: str) -> Iterator[None]:
    """Holds the lock of the file `path`, which is gone at the end; `what` names the thing in a waiting line.

    A process that dies gives its lock back. On a file system without locks there is no wait. DiskError where
    the file cannot be made.
    """
    lock = _taken(path, what)
    try:
        yield
    finally:
        with suppress(FileNotFoundError):
            path.unlink()  # while it is still held: whoever waits sees that the file is another one
        lock.close()


def _taken(path: Path, what: str) -> IO[str]:
    said = False
    while True:
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            lock = path.open("w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if not said:
                print(f"{what}: another process does the same; waiting for it", file=sys.stderr)
            said = True
            fcntl.flock(lock, fcntl.LOCK_EX)
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                lock.close()
                raise
            return lock
        if _is_still(path, lock):
            return lock
        lock.close()


def _is_still(path: Path, lock: IO[str]) -> bool:
    """Whether the path is the locked file, which the one before may have taken away."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return False
    return os.path.samestat(found, os.fstat(lock.fileno()))
