"""Vouches for files of a kept study that the journal does not know: frozen results, values per class, image.

    folder/hashes.json    {"knn/moco.json": SHA-256 of the bytes, ...}

It guards against accidents and edits by hand, as the journal does for records.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

from boltons.fileutils import atomic_save

from results.errors import RecordError

HASHES = "hashes.json"
# What belongs to a study beside its records: frozen results by init, and by cell values per class and image
# and the errors that were made.
_BY_CELL = ("per_class.json", "per_image.npz", "tide.json")
KEPT = ("knn/*.json", "linear/*.json", *(f"cells/*/*/{name}" for name in _BY_CELL))


def kept_files(root: Path) -> list[str]:
    """The files under the root that are vouched for, sorted, as they stand in hashes.json."""
    return sorted(path.relative_to(root).as_posix() for pattern in KEPT for path in root.glob(pattern))


def write_hashes(root: Path) -> int:
    """Takes down the hashes of all kept files and returns their number.

    RecordError: a file that is in hashes.json already is not what it was; the new hash would hide that.
    """
    problems = [line for line in check_hashes(root)[0]]
    if problems:
        raise RecordError(f"{root}: {problems[0]}")
    found = {name: _sha256(root / name) for name in kept_files(root)}
    with atomic_save(str(root / HASHES), text_mode=True, overwrite_part=True) as file:
        file.write(json.dumps(found, indent=1) + "\n")
    return len(found)


def check_hashes(root: Path) -> tuple[list[str], list[str], int]:
    """(problems, notes, number of entries) of hashes.json; all empty where there is none."""
    stored = _read(root)
    if stored is None:
        return [], [], 0
    problems = list(_altered(root, stored))
    notes = [f"{name}: not in {HASHES}; copied in" for name in kept_files(root) if name not in stored]
    return problems, notes, len(stored)


def _altered(root: Path, stored: dict[str, str]) -> Iterator[str]:
    for name, sha256 in stored.items():
        if not (root / name).is_file():
            yield f"{name}: kept according to {HASHES}, but the file is gone"
        elif _sha256(root / name) != sha256:
            yield f"{name}: its bytes are not those that were kept (SHA-256 in {HASHES}); restore the file"


def _read(root: Path) -> dict[str, str] | None:
    try:
        stored = json.loads((root / HASHES).read_bytes())
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise RecordError(f"{root / HASHES}: not JSON ({error}); restore the file") from None
    if not isinstance(stored, dict) or not all(isinstance(value, str) for value in stored.values()):
        raise RecordError(f"{root / HASHES}: expected a JSON object of file names and hashes")
    return stored


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
