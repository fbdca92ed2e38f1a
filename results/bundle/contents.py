"""Says which files of a directory of records belong into a bundle, and what is made of its records."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from results.bundle.files import Source
from results.bundle.index import BESIDE, ENVIRONMENT, PREDICTIONS, PULLED, is_sha256
from results.journal import JOURNAL
from results.record import Record
from results.run_files import cell_directories
from results.schema import read_record
from results.store import record_files


def contents_of(root: Path, predictions: bool = True) -> tuple[dict[str, Source], list[Record]]:
    """(files of the bundle by name, the records among them); networks, pictures and logs of output stay."""
    found: dict[str, Source] = {}
    records = []
    for path in map(Path, record_files(root)):
        content = path.read_bytes()
        found[path.relative_to(root).as_posix()] = content
        records.append(read_record(content, str(path)))
    for name in (JOURNAL, PULLED):  # behind the records: it knows all of them then
        if (root / name).is_file():
            found[name] = (root / name).read_bytes()
    cells = cell_directories(root)
    for record in records:
        cell = cells.get((record["suite"], record["id"]))
        if cell is not None:
            found |= {path.relative_to(root).as_posix(): path for path in _of_cell(cell, predictions)}
    return found | made_of(records), records


def _of_cell(cell: Path, predictions: bool) -> Iterator[Path]:
    yield from (cell / name for name in BESIDE if (cell / name).is_file())
    if predictions:
        for path in sorted((cell / PREDICTIONS).rglob("*")):
            hidden = any(part.startswith(".") for part in path.relative_to(cell).parts)  # half written
            if path.is_file() and not hidden:
                yield path


def made_of(records: Sequence[Record]) -> dict[str, Source]:
    """The files that follow from the records: manifests of their backbones, and their environments."""
    manifests = [record.get("init_manifest") for record in records]
    files: dict[str, Source] = {}
    for manifest in manifests:
        if manifest:
            content = _json(manifest)
            files[f"manifests/{hashlib.sha256(content).hexdigest()[:16]}.json"] = content
    made: dict[str, dict[str, Any]] = {}
    for record in records:
        told: dict[str, Any] = {key: record.get(key) or {} for key in ("engine", "environment")}
        # how the process was called tells places of one machine, and is in the record
        told["environment"] = {k: v for k, v in told["environment"].items() if k != "command"}
        entry = made.setdefault(json.dumps(told, sort_keys=True), {**told, "records": []})
        entry["records"].append(f"{record['suite']}/{record['id']}")
    ordered = [{**made[key], "records": sorted(made[key]["records"])} for key in sorted(made)]
    return {**files, ENVIRONMENT: _json(ordered)}


def odd_pulls(path: Path) -> list[str]:
    """A line for each line of a pulled.jsonl that `pull` did not write; none where there is no such file."""
    lines = path.read_bytes().splitlines() if path.is_file() else []
    told = "not a pull, expected at, from, sha256 and records; fetch the bundle again, or take the line out"
    return [f"{PULLED}:{number}: {told}" for number, line in enumerate(lines, 1) if not _is_pull(line)]


def _is_pull(line: bytes) -> bool:
    try:
        at, source, sha256, records = map(json.loads(line).get, ("at", "from", "sha256", "records"))
        texts = all(isinstance(one, str) for one in (at, source, sha256, *records))
    except (ValueError, TypeError, AttributeError, RecursionError):
        return False
    return texts and isinstance(records, list) and is_sha256(sha256)


def absolute_paths(records: Iterable[Record]) -> list[str]:
    """The first absolute path in each record that has one: they tell of a machine."""
    return [path for record in records if (path := next(_paths(record), ""))]


def _paths(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for one in value:
            yield from _paths(one)
    elif isinstance(value, str) and (value.startswith(("/", "~/")) or value[1:3] == ":\\"):
        yield value


def _json(content: Any) -> bytes:
    return (json.dumps(content, indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode()
