"""Keeps what a study's runs have shown in a small folder that is passed on: records, frozen results, classes.

What each test image gave and which errors were made come along, too. No picture, log or network is taken
along. The study's own folder is only ever added to.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from boltons.fileutils import atomic_save

from results.errors import RecordError
from results.evidence.frozen import FROZEN, read_frozen
from results.hashes import HASHES, check_hashes, write_hashes
from results.merge import merge
from results.run_files import PER_IMAGE, TIDE

BESIDE = ("per_class.json", PER_IMAGE, TIDE)


def keep(destination: Path, sources: Sequence[Path]) -> Iterator[str]:
    """Adds the sources to the study's folder and yields a line for each step.

    RecordError, before anything is written: a source without records, a frozen result of another form, or
    one that differs from the one that is kept; a kept file that was altered.
    """
    problems = check_hashes(destination)[0]
    if problems:
        raise RecordError(f"{destination}: {problems[0]}")
    copies: dict[Path, bytes] = {}
    for source in sources:
        for kind in FROZEN:
            for path in sorted((source / kind).glob("*.json")):
                read_frozen(path)
                target, content = destination / kind / path.name, path.read_bytes()
                before = copies.get(target) or (target.read_bytes() if target.exists() else content)
                if before != content:
                    raise RecordError(
                        f"{path} differs from the one that is kept, {target}; keep it under another name"
                    )
                copies[target] = content
    yield from merge(destination, sources, BESIDE)
    for target, content in copies.items():
        target.parent.mkdir(parents=True, exist_ok=True)
        with atomic_save(str(target), overwrite_part=True) as file:
            file.write(content)
    yield f"{destination / HASHES}: {write_hashes(destination)} files beside the records"
