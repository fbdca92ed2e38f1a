"""Writes the forms that a user asked for, from the records of a bundle, each into a new folder."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from results.bundle.check import opened
from results.errors import RecordError
from results.exchange.eval_results import eval_results
from results.exchange.every_eval_ever import every_eval_ever
from results.exchange.leaderboard import leaderboard
from results.exchange.names import pairs
from results.journal import LEFT_OUT
from results.store import load_records
from results.tables.trials import group_trials


@dataclass(frozen=True)
class Wanted:
    """The folders of the forms, None for those not wanted, and what the user says of names elsewhere."""

    every_eval_ever: Path | None
    eval_results: Path | None
    leaderboard: Path | None
    organization: str | None
    models: Mapping[str, str]
    benchmarks: Mapping[str, str]


def wanted_forms(
    folders: tuple[Path | None, Path | None, Path | None],
    organization: str | None,
    models: Sequence[str],
    benchmarks: Sequence[str],
) -> Wanted:
    """The wishes of a user, checked; `folders`: in the order of the fields of Wanted.

    RecordError, before anything is written: a folder is there already, a name lacks or has another form.
    """
    for folder in folders:
        if folder is not None and (folder.exists() or not folder.absolute().parent.is_dir()):
            what = "is there already" if folder.exists() else f"{folder.parent} is not a folder"
            raise RecordError(f"{folder}: {what}; name a new folder in one that there is")
    if folders[0] is not None and not (organization or "").strip():
        raise RecordError("--every-eval-ever needs --organization NAME: who reports these numbers")
    named = pairs(models, "--model", "OWNER/NAME"), pairs(benchmarks, "--benchmark", "OWNER/DATASET:TASK")
    return Wanted(*folders, organization, *named)


def write_forms(bundle: Path, wanted: Wanted) -> Iterator[str]:
    """Writes the forms of a bundle; yields a line for each, and for what is left out of one."""
    folders = (wanted.every_eval_ever, wanted.eval_results, wanted.leaderboard)
    if not any(folders):
        return
    with opened(bundle) as (folder, index):
        records = load_records(folder)
    suites = group_trials(records, LEFT_OUT, {})
    if wanted.every_eval_ever:
        logs = every_eval_ever(records, str(wanted.organization), wanted.models)
        yield _written(wanted.every_eval_ever, logs, f"{len(logs)} evaluation logs")
    if wanted.leaderboard:
        yield _written(wanted.leaderboard, leaderboard(suites, index.sha256), f"{len(suites)} suites")
    if wanted.eval_results:
        files, left = eval_results(suites, wanted.models, wanted.benchmarks, index.sha256)
        yield from left
        if not files:
            raise RecordError(f"{wanted.eval_results} was not written: no row can go out; the lines say why")
        yield _written(wanted.eval_results, files, f"for {len(files)} model repositories")


def _written(folder: Path, files: Mapping[str, bytes], what: str) -> str:
    """Writes the files into a new folder, all or none; returns the line that says so."""
    part = folder.absolute().parent / f".{folder.name[:200]}.{os.getpid()}.part"
    try:
        for name, content in files.items():
            (part / name).parent.mkdir(parents=True, exist_ok=True)
            (part / name).write_bytes(content)
        part.mkdir(exist_ok=True)
        os.rename(part, folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return f"wrote {folder}: {what}"
