"""Merges somebody's bundle into a directory of records, and keeps where they came from.

pulled.jsonl    {"at": .., "from": .., "sha256": over all, "records": ["<suite>/<id>", ...]} a line a bundle
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path

from results.bundle.check import is_bundle, opened
from results.bundle.index import BESIDE, PREDICTIONS, PULLED, Index
from results.errors import RecordError
from results.merge import merge
from results.store import load_records


def pull(bundle: Path, destination: Path, expected: str | None = None) -> Iterator[str]:
    """Merges a sound bundle and yields a line per clash and one in the end.

    `expected`: its hash over all, as it was told elsewhere. RecordError, before anything is written: hostile,
    altered, or not that one; the destination is a bundle itself.
    """
    if destination.exists() and is_bundle(destination):
        raise RecordError(f"{destination} is a bundle or a file; name a directory of runs, or a new one")
    with opened(bundle, expected) as (folder, index):
        records = load_records(folder)
        for line in merge(destination, [folder], (*BESIDE, PREDICTIONS)):
            yield line.replace(str(folder), str(bundle))
        names = [f"{record['suite']}/{record['id']}" for record in records]
        earlier = (folder / PULLED).read_bytes() if PULLED in index.files else b""
        _remember(destination / PULLED, bundle, index, names, earlier)
    yield f"{destination / PULLED}: from {bundle.name}, hash over all {index.sha256}"


def _remember(path: Path, bundle: Path, index: Index, names: list[str], earlier: bytes) -> None:
    """Adds a line for the bundle, and those of bundles that went into it; none twice."""
    there = path.read_bytes().splitlines() if path.exists() else []
    known = {_sha256(line) for line in there}
    lines = [line for line in earlier.splitlines() if _sha256(line) not in known]
    if index.sha256 not in known:
        now = datetime.now(timezone.utc).isoformat(timespec="seconds")
        told = {"at": now, "from": bundle.name, "sha256": index.sha256, "records": names}
        lines.append(json.dumps(told, ensure_ascii=False).encode())
    if lines:
        with open(path, "ab") as file:
            file.write(b"".join(line + b"\n" for line in lines))


def _sha256(line: bytes) -> str:
    try:
        return str(json.loads(line)["sha256"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return ""
