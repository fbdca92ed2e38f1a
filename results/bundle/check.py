"""Checks a bundle, folder or archive: every byte against the index, the records against each other."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from results.bundle.archive import look_at_archive, unpack
from results.bundle.contents import made_of, odd_pulls
from results.bundle.files import look_at_folder
from results.bundle.index import ENVIRONMENT, INDEX, PULLED, Index
from results.bundle.pack import is_archive
from results.errors import RecordError
from results.store import load_records
from results.verify import Verdict, verify


def is_bundle(path: Path) -> bool:
    """Whether it is, or was, a bundle: one that lost its index is no directory of runs."""
    return path.is_file() or (path / INDEX).exists() or (path / ENVIRONMENT).exists()


def verify_bundle(path: Path, expected: str | None = None) -> tuple[Verdict, str]:
    """The verdict on a bundle, and its hash over all; nothing is changed.

    `expected`: that hash as it was told elsewhere. RecordError: no bundle at all, or hostile.
    """
    verdict = Verdict()
    index, problems = _look(path)
    if expected is not None and expected.lower() != index.sha256:
        problems.insert(
            0, f"{path}: hash over all {index.sha256}, expected {expected}; not what was published"
        )
    verdict.problems = problems
    if not problems:
        with _as_folder(path, index) as folder:
            verdict = _records(folder, index)
    verdict.kept_files = len(index.files) - verdict.records if not problems else 0
    return verdict, index.sha256


@contextlib.contextmanager
def opened(path: Path, expected: str | None = None) -> Iterator[tuple[Path, Index]]:
    """A sound bundle as a folder, with its index; an archive is unpacked for as long as it is open.

    RecordError, before anything is unpacked: it is not sound, or its hash over all is not the expected one.
    """
    index, problems = _look(path)
    if expected is not None and expected.lower() != index.sha256:
        raise RecordError(
            f"{path}: hash over all {index.sha256}, expected {expected}; not what was published"
        )
    _refuse(path, problems)
    with _as_folder(path, index) as folder:
        _refuse(path, _records(folder, index).problems)
        yield folder, index


def _refuse(path: Path, problems: list[str]) -> None:
    if problems:
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        raise RecordError(f"{path}: {problems[0]}{more}")


def _look(path: Path) -> tuple[Index, list[str]]:
    if not path.exists():
        raise RecordError(f"{path}: no such bundle; expected a folder with {INDEX}, a .tar.gz or a .zip")
    if path.is_dir():
        return look_at_folder(path)
    if not is_archive(path):
        raise RecordError(f"{path}: not a bundle by its name; expected a folder, a .tar.gz or a .zip")
    return look_at_archive(path)


def _records(folder: Path, index: Index) -> Verdict:
    """The verdict on records and journal, and on what was made of the records."""
    verdict = verify(folder)
    verdict.problems += odd_pulls(folder / PULLED)
    if not verdict.problems:
        made = made_of(load_records(folder))
        there = {name for name in index.files if name == ENVIRONMENT or name.startswith("manifests/")}
        for name in sorted(made.keys() | there):
            if (
                name not in made
                or not (folder / name).is_file()
                or (folder / name).read_bytes() != made[name]
            ):
                verdict.problems.append(f"{name}: not what the records say; fetch the bundle again")
    return verdict


@contextlib.contextmanager
def _as_folder(path: Path, index: Index) -> Iterator[Path]:
    if path.is_dir():
        yield path
        return
    place = Path(tempfile.gettempdir())
    free = shutil.disk_usage(place).free
    if index.size > free:
        told = f"{index.size / 1e6:.0f} MB to unpack, {free / 1e6:.0f} MB free in {place}"
        raise RecordError(f"{path}: {told}; make room, or name another place with TMPDIR")
    with tempfile.TemporaryDirectory(prefix="moco-transfer-") as above:
        unpack(path, Path(above) / "bundle", index)
        yield Path(above) / "bundle"
