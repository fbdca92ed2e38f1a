"""Writes a bundle of a directory of records, whole or not at all."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from results.bundle.contents import absolute_paths, contents_of, odd_pulls
from results.bundle.files import entry_of, write_folder
from results.bundle.index import PREDICTIONS, PULLED, Index, make_index
from results.bundle.pack import is_archive, write_archive
from results.errors import RecordError
from results.record import Record
from results.verify import verify


def publish(root: Path, output: Path, predictions: bool = True) -> Iterator[str]:
    """Writes the bundle `output`, a folder, or an archive if its name says so; yields lines, the size first.

    RecordError, before anything is written: no records, one that was altered, or something at `output`.
    """
    if output.exists() or output.is_symlink():
        raise RecordError(f"{output} is there already; a bundle is never changed, so name another with -o")
    if not output.absolute().parent.is_dir():
        raise RecordError(
            f"{output}: {output.parent} is not a folder; make it first, or name another with -o"
        )
    problems = verify(root).problems + odd_pulls(root / PULLED)
    if problems:
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        raise RecordError(f"{root}: {problems[0]}{more}; only what is as it was written is published")
    sources, records = contents_of(root, predictions)
    if not records:
        raise RecordError(f"no records in {root}, expected {root}/records/<suite>/<id>.json")
    index = make_index({name: entry_of(source) for name, source in sources.items()})
    yield from _told(index, records)
    part = output.absolute().parent / f".{output.name[:200]}.{os.getpid()}.part"
    try:
        if is_archive(output):
            write_archive(part, output.name, index, sources)
        else:
            write_folder(part, index, sources)
        os.rename(part, output)
    finally:
        with contextlib.suppress(OSError):
            part.unlink() if part.is_file() else shutil.rmtree(part, ignore_errors=True)
    yield f"wrote {output}; hash over all {index.sha256}"
    yield "tell that hash by another way: with --sha256, verify and pull hold the bundle against it"


def _told(index: Index, records: Sequence[Record]) -> Iterator[str]:
    of_predictions = [entry.size for name, entry in index.files.items() if f"/{PREDICTIONS}/" in name]
    finished = sum(record["status"] == "finished" for record in records)
    size = f"{index.size / 1e6:.1f} MB in {len(index.files)} files"
    size += f", predictions {sum(of_predictions) / 1e6:.1f} MB"
    yield f"{size}; {len(records)} records, {finished} finished"
    paths = absolute_paths(records)
    if paths:
        yield f"note: {len(paths)} records name paths of this machine, as {paths[0]}; they go out as they are"
