"""`python -m results`: tables from a directory of records."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from results.record import RecordError


def main(argv: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code (2 for bad input)."""
    parser = argparse.ArgumentParser(prog="python -m results", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    table = commands.add_parser("table", help="one table per suite, our rows beside the published ones")
    table.add_argument("directory", nargs="?", default="runs", type=Path, help="where the records are (runs)")
    table.add_argument("--suite", nargs="+", help="only these suites")
    args = parser.parse_args(argv)
    try:
        print(table_command(args.directory, args.suite))
    except (RecordError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def table_command(directory: Path, suites: Sequence[str] | None) -> str:
    """The tables of the suites (all, by default) in a directory of records, as Markdown."""
    from results.store import load_records
    from results.table import suite_table, to_markdown

    records = load_records(directory)
    if not records:
        raise RecordError(f"no records in {directory}; expected {directory}/records/<suite>/<id>.json")
    found = sorted({record["suite"] for record in records})
    unknown = set(suites or ()) - set(found)
    if unknown:
        raise RecordError(
            f"no records of {', '.join(sorted(unknown))} in {directory}; there are {', '.join(found)}"
        )
    return "\n".join(to_markdown(suite_table(records, suite)) for suite in suites or found)


if __name__ == "__main__":
    sys.exit(main())
