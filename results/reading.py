"""Reads a directory of records for a command: its rows by suite, with a warning for what is left out."""

from __future__ import annotations

import sys
from pathlib import Path

from converters.command import spelled
from results.errors import RecordError
from results.journal import LEFT_OUT, RENAMED
from results.output import print_line
from results.run_files import cell_directories
from results.store import load_records
from results.tables.trials import Trials, group_trials


def read_groups(
    directory: Path, include_changed: bool = False, problems: list[str] | None = None
) -> dict[str, list[Trials]]:
    """The rows of the directory's records, by suite.

    A broken or doubted record is named on standard error, never left out in silence. RecordError: no records,
    or no trial among them.
    """
    problems = [] if problems is None else problems
    records = load_records(directory, problems)
    for problem in problems:
        print_line(f"warning: left out {problem}", sys.stderr)
    if not records:
        inside = sorted(path.parent.name for path in directory.glob("*/records"))
        hint = f"; there are some in {', '.join(inside)}" if inside else ""
        raise RecordError(f"no records in {directory}, expected {directory}/records/<suite>/<id>.json{hint}")
    # a file under another name is a second copy of a record as often as not: it never counts
    left_out = (RENAMED,) if include_changed else LEFT_OUT
    not_counted = sum(record.get("doubt") in left_out for record in records)
    if not_counted:
        print_line(
            f"warning: {not_counted} of {len(records)} records are not what was written and do not count; "
            f"{spelled('results', f'verify {directory}')} names them",
            sys.stderr,
        )
    groups = group_trials(records, left_out, cell_directories(directory))
    if not groups:
        raise RecordError(
            f"no trial in {directory} yet, only the candidates of a tuning; its command goes on"
        )
    return groups


def only_suites(
    groups: dict[str, list[Trials]], names: list[str] | None, directory: Path
) -> dict[str, list[Trials]]:
    """The named suites, or all. RecordError: the directory has none of that name."""
    unknown = [suite for suite in names or () if suite not in groups]
    if unknown:
        raise RecordError(f"no records of {', '.join(unknown)} in {directory}; there are {', '.join(groups)}")
    return {suite: groups[suite] for suite in names or groups}
