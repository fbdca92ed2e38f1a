"""Keeps features on disk under the hash of all that makes them, so that no two probes compute them twice.

A folder by that hash holds `features.npy`, float32 (images, width), and `header.json`, which says of what
they are. While they are made it holds `parts`: a file for every few hundred images, each whole or absent, so
that whoever comes next goes on from there.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from boltons.fileutils import atomic_save

from transfer.errors import TransferError
from transfer.process.alone import alone
from transfer.process.disk import writing

REVISION = 1  # raised when the same facts would give other features
PART = 512  # images
_FEATURES, _HEADER, _PARTS = "features.npy", "header.json", "parts"


@dataclass(frozen=True)
class Entry:
    """The features of `count` images by one network; `facts` are JSON types and say all that moves them."""

    root: Path
    facts: Mapping[str, Any]
    count: int

    @property
    def key(self) -> str:
        """The hash of the facts."""
        text = json.dumps({"revision": REVISION, **self.facts}, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()

    @property
    def folder(self) -> Path:
        """Where they lie."""
        return self.root / self.key[:2] / self.key

    @property
    def there(self) -> bool:
        """Whether they were finished before; `load` looks whether they are whole."""
        return (self.folder / _HEADER).exists()

    @property
    def parts(self) -> range:
        """The first image of every part."""
        return range(0, self.count, PART)

    def load(self) -> np.ndarray | None:
        """The features, mapped into memory; None where they are not there or not whole.

        TransferError where a byte of them is not what was written, or they are of something else.
        """
        try:
            header = json.loads((self.folder / _HEADER).read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise self._refusal(str(error)) from None
        try:
            if header["facts"] != json.loads(json.dumps(self.facts)):
                raise self._refusal("they are of another network or list")
            if header["sha256"] != _sha256(self.folder / _FEATURES):
                raise self._refusal("their bytes are not those that were written")
            # Mapped as if writable, which torch asks for; nothing that is written reaches the file.
            found: np.ndarray = np.load(self.folder / _FEATURES, mmap_mode="c")
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise self._refusal(str(error)) from None
        if found.shape[0] != self.count or found.dtype != np.float32 or found.ndim != 2:
            raise self._refusal(f"they are {found.dtype} {found.shape}, and there are {self.count} images")
        return found

    def has(self, first: int) -> bool:
        """Whether the part that begins with this image is there."""
        return self._part(first).exists()

    def keep(self, first: int, features: np.ndarray) -> None:
        """Writes a part, whole or not at all. DiskError where there is no room."""
        path = self._part(first)
        with writing(path, features.nbytes):
            path.parent.mkdir(parents=True, exist_ok=True)
            with atomic_save(str(path), overwrite=True, overwrite_part=True) as file:
                np.save(file, np.ascontiguousarray(features, np.float32))

    def finish(self) -> None:
        """Joins the parts, which must be there. DiskError where there is no room; the parts then stay."""
        first = self._read(0)
        path = self.folder / _FEATURES
        with writing(path, self.count * first.shape[1] * 4):
            with atomic_save(str(path), overwrite=True, overwrite_part=True) as file:
                head = np.lib.format.header_data_from_array_1_0(first)
                np.lib.format.write_array_header_1_0(file, {**head, "shape": (self.count, first.shape[1])})
                for part in self.parts:
                    file.write(self._read(part).tobytes())
            header = {"facts": self.facts, "width": first.shape[1], "sha256": _sha256(path)}
            with atomic_save(str(self.folder / _HEADER), text_mode=True, overwrite_part=True) as file:
                file.write(json.dumps(header, indent=1))
        shutil.rmtree(self.folder / _PARTS, ignore_errors=True)

    def alone(self) -> AbstractContextManager[None]:
        """Lets one process at a time make these features; on a file system without locks there is no wait."""
        return alone(self.folder / "lock", "features")

    def _part(self, first: int) -> Path:
        return self.folder / _PARTS / f"{first:09}.npy"

    def _read(self, first: int) -> np.ndarray:
        try:
            found: np.ndarray = np.load(self._part(first))
        except (OSError, ValueError) as error:
            raise self._refusal(f"part {first}: {error}") from None
        rows = min(PART, self.count - first)
        if len(found) != rows:
            raise self._refusal(f"part {first} has {len(found)} images, not {rows}")
        return found

    def _refusal(self, why: str) -> TransferError:
        return TransferError(f"features in {self.folder} cannot be used: {why}; delete this folder")


def _sha256(path: Path) -> str:
    whole = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            whole.update(block)
    return whole.hexdigest()
