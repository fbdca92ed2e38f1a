"""Tries a user's module in the process that `own_code.py` starts for it, and writes what it found."""

from __future__ import annotations

import json
import site
import sys
from collections.abc import Iterable
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

from benchmarks.planning.own_weights import read_weights
from converters.errors import CheckpointError
from transfer.errors import TransferError


def main(job: dict[str, str]) -> None:
    """Takes file, callable and weights; writes facts, or {"error": one line}, to the path `out`."""
    try:
        with redirect_stdout(sys.stderr):  # our own output is what a user may read on
            found = _found(Path(job["file"]), job["callable"], job["weights"])
    except (TransferError, CheckpointError) as error:
        found = {"error": " ".join(str(error).split())}
    Path(job["out"]).write_text(json.dumps(found), encoding="utf-8")


def _found(file: Path, name: str, weights: str) -> dict[str, Any]:
    from transfer.engines.own import call, load, source_line, telling
    from transfer.engines.own_trial import try_module

    state = read_weights(weights) if weights else None
    before = set(sys.modules)
    make = load(file, name)
    with telling(file, "the trial failed"):
        facts = try_module(lambda: call(make, file), file, state)
    new = [sys.modules[name] for name in sys.modules.keys() - before]
    beside = sorted(_below(file.parent, (getattr(module, "__file__", None) or "" for module in new)))
    lines = [source_line(path, file.parent) for path in [file, *(p for p in beside if p != file)]]
    return facts | {"sources": lines}


def _below(folder: Path, files: Iterable[str]) -> set[Path]:
    """The files that the code imported from its own folder, without the packages that are installed there."""
    paths = {Path(name) for name in files if name}
    installed = [Path(place) for place in (*site.getsitepackages(), sys.prefix)]
    return {
        path
        for path in paths
        if path.is_relative_to(folder) and not any(path.is_relative_to(place) for place in installed)
    }
