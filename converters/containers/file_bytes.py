"""Reads a file by position, and once as a whole for its SHA-256 and the CRCs of its container."""

from __future__ import annotations

import hashlib
import mmap
import os
import threading
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from converters.errors import CheckpointError

CHUNK = 1 << 20


class FileBytes:
    """A file read by position; safe to share between threads, closed when the last reader is gone."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor = os.open(path, os.O_RDONLY)
        self.size = os.fstat(self._descriptor).st_size

    def __del__(self) -> None:
        if hasattr(self, "_descriptor"):
            os.close(self._descriptor)

    def read(self, start: int, stop: int) -> bytes:
        """Exactly those bytes, or a CheckpointError."""
        parts: list[bytes] = []
        while start < stop:
            part = os.pread(self._descriptor, stop - start, start)
            if not part:
                raise CheckpointError(f"{self.path.name} ends before byte {stop} (truncated)")
            parts.append(part)
            start += len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def view(self) -> memoryview:
        """The whole file, mapped: a pickle's arrays stay on disk until they are asked for."""
        return memoryview(mmap.mmap(self._descriptor, 0, access=mmap.ACCESS_READ))


@dataclass(frozen=True)
class Checked:
    """A stretch of the file whose CRC-32 the container wrote down."""

    name: str
    start: int
    size: int
    crc: int


class Verification:
    """Reads the whole file once, in a second thread while the first one converts.

    `begin()` starts it, `result()` waits for it and judges.
    """

    def __init__(self, file: FileBytes, stretches: Sequence[Checked] = ()) -> None:
        self._file = file
        self.size = file.size
        self._stretches = sorted(stretches, key=lambda s: s.start)
        self._error: Exception | None = None
        self._damaged: list[str] = []
        self._sha256 = hashlib.sha256()
        self._thread: threading.Thread | None = None

    def begin(self) -> None:
        """Starts the pass over the file, once."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, daemon=True)
            self._thread.start()

    def result(self) -> str:
        """The file's SHA-256 in hex. CheckpointError names the parts whose CRC does not fit."""
        self.begin()
        if self._thread is not None:
            self._thread.join()
        if self._error is not None:
            raise CheckpointError(f"{self._file.path.name} cannot be read: {self._error}")
        if self._damaged:
            raise CheckpointError(
                f"{self._file.path.name} is damaged: the CRC of {', '.join(self._damaged[:3])} does not fit"
                f" ({len(self._damaged)} part(s)); fetch or copy the file again"
            )
        return self._sha256.hexdigest()

    def _run(self) -> None:
        try:
            position = 0
            for stretch in self._stretches:
                self._pass(position, stretch.start)
                crc = self._pass(stretch.start, stretch.start + stretch.size)
                if crc != stretch.crc:
                    self._damaged.append(stretch.name)
                position = stretch.start + stretch.size
            self._pass(position, self._file.size)
        except (OSError, CheckpointError) as error:
            self._error = error

    def _pass(self, start: int, stop: int) -> int:
        crc = 0
        for position in range(start, stop, CHUNK):
            chunk = self._file.read(position, min(position + CHUNK, stop))
            self._sha256.update(chunk)
            crc = zlib.crc32(chunk, crc)
        return crc
