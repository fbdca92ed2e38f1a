"""`python -m results`: tables, the papers' tables and a report from a directory of records; checks and
merging.
"""

from __future__ import annotations

import argparse
import gc
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from results.record import RecordError

if TYPE_CHECKING:
    from results.layout import Table

FORMATS = ("term", "md", "latex", "csv", "html")  # results.formats has them; importing it would slow --help


def main(argv: Sequence[str] | None = None) -> int:
    """The command line. Exit code 2: bad input; 1: `verify` found problems."""
    args = build_parser().parse_args(argv)
    # A short process: a collector that walks 10,000 records again and again costs a third of the time
    # and frees nothing.
    gc.disable()
    try:
        return int(COMMANDS[args.command](args) or 0)
    except BrokenPipeError:
        raise  # `command` ends it
    except (RecordError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


def build_parser() -> argparse.ArgumentParser:
    """All commands and their options."""
    parser = argparse.ArgumentParser(prog="python -m results", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)

    table = commands.add_parser("table", help="one table per suite, our rows beside the published ones")
    _directory(table)
    _output(table)
    table.add_argument("--suite", nargs="+", help="only these suites")
    table.add_argument("--metrics", nargs="+", help='only these, e.g. "bbox/AP bbox/AP50"')
    table.add_argument("--reference", help="init that gaps are taken to (default: supervised, else msra)")
    table.add_argument(
        "--no-published", action="store_true", help="our rows only, not held against any paper"
    )

    paper = commands.add_parser("paper", help="the tables of MoCo v1 and v2, with our rows where they exist")
    _directory(paper)
    _output(paper)
    paper.add_argument("--table", nargs="+", help='e.g. "5", "A.1", "v2.1" (default: all)')

    report = commands.add_parser("report", help="one self-contained HTML page")
    _directory(report)
    report.add_argument("-o", "--output", type=Path, default=Path("report.html"), help="(report.html)")
    report.add_argument("--reference", help="init that gaps are taken to (default: supervised, else msra)")

    verify = commands.add_parser("verify", help="check every record and the journal; exit code 1 on problems")
    _directory(verify)

    merge = commands.add_parser("merge", help="join the records of several directories into one")
    merge.add_argument("destination", type=Path, help="directory to write to; may hold records already")
    merge.add_argument("sources", nargs="+", type=Path, help="directories to read")
    return parser


def _directory(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("directory", nargs="?", default=Path("runs"), type=Path, help="the records (runs)")


def _output(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--format", choices=FORMATS, default="term", help="(term)")
    parser.add_argument("-o", "--output", type=Path, help="write to this file instead of the terminal")


def table_command(args: argparse.Namespace) -> None:
    """`table`: the tables of the suites in the directory."""
    from results.published import load_published
    from results.table import build_suite_table, check_metrics
    from results.trials import group_trials

    groups = group_trials(_records(args.directory))
    unknown = [suite for suite in args.suite or () if suite not in groups]
    if unknown:
        known = ", ".join(groups)
        raise RecordError(f"no records of {', '.join(unknown)} in {args.directory}; there are {known}")
    papers = load_published()
    tables = []
    for suite in args.suite or groups:
        if args.metrics:
            check_metrics(args.metrics, suite, groups[suite], papers)
        made = build_suite_table(
            groups[suite], suite, args.metrics, not args.no_published, args.reference, papers
        )
        tables.append(made)
    _print(tables, args.format, args.output)


def paper_command(args: argparse.Namespace) -> None:
    """`paper`: the papers' tables; records are laid in where the directory has any."""
    from results.paper import paper_tables
    from results.published import load_published
    from results.trials import group_trials

    # the papers' tables are of use without any record, but a directory that was asked for must be there
    explicit = args.directory != Path("runs")
    records = _records(args.directory) if explicit or (args.directory / "records").is_dir() else []
    _print(paper_tables(load_published(), group_trials(records), args.table), args.format, args.output)


def report_command(args: argparse.Namespace) -> None:
    """`report`: the HTML page."""
    from results.report import write_report

    problems: list[str] = []
    write_report(_records(args.directory, problems), args.directory, args.output, problems, args.reference)
    print(f"wrote {args.output}")


def verify_command(args: argparse.Namespace) -> int:
    """`verify`: problems are things to act on, notes are things to know."""
    from results.verify import verify

    found = verify(args.directory)
    for problem in found.problems:
        print(f"problem: {problem}")
    for note in found.notes:
        print(f"note: {note}")
    print(f"{found.records} records, {found.journal_entries} journal entries, {len(found.problems)} problems")
    return 1 if found.problems else 0


def merge_command(args: argparse.Namespace) -> None:
    """`merge`: joins directories, and says what it did with every clash."""
    from results.merge import merge

    for line in merge(args.destination, args.sources):
        print(line)


COMMANDS = {
    "table": table_command,
    "paper": paper_command,
    "report": report_command,
    "verify": verify_command,
    "merge": merge_command,
}


def _records(directory: Path, problems: list[str] | None = None) -> list[dict[str, Any]]:
    """The directory's records; broken files are named on stderr and left out, never in silence."""
    from results.store import load_records

    problems = [] if problems is None else problems
    records = load_records(directory, problems)
    for problem in problems:
        print(f"warning: left out {problem}", file=sys.stderr)
    if not records:
        inside = sorted(path.parent.name for path in directory.glob("*/records"))
        hint = f"; there are some in {', '.join(inside)}" if inside else ""
        raise RecordError(f"no records in {directory}, expected {directory}/records/<suite>/<id>.json{hint}")
    return records


def _print(tables: list[Table], format: str, output: Path | None) -> None:
    from results.formats import FORMATS, term

    if output is None and format == "term" and sys.stdout.isatty():
        text = term(tables, shutil.get_terminal_size().columns, color=True)
    else:
        text = FORMATS[format].write(tables)
    if output is None:
        sys.stdout.write(text)
        return
    from boltons.fileutils import atomic_save

    with atomic_save(str(output), overwrite_part=True) as file:
        file.write(text.encode())
    print(f"wrote {output}")


if __name__ == "__main__":
    from results.command import command

    sys.exit(command(main))
