"""Makes tables and a report from a directory of records; checks and merges such directories."""

from __future__ import annotations

import argparse
import gc
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from results.errors import RecordError
from results.options import Parser
from results.output import print_line, print_text, write_file, write_tables
from results.tables.formats import FORMATS

if TYPE_CHECKING:
    from results.tables.trials import Trials


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code. 2: bad input; 1: `verify` found problems."""
    args = build_parser().parse_args(argv)
    # A short process: a collector that walks 10,000 records again and again costs a third of the time
    # and frees nothing.
    gc.disable()
    try:
        code = int(COMMANDS[args.command](args) or 0)
        print_text("", flush=True)  # a full disk is met here, and never halfway through a merge
        return code
    except BrokenPipeError:
        raise  # `command` ends it
    except (RecordError, OSError) as error:
        print_line(f"error: {error}", sys.stderr)
        return 2


def build_parser() -> argparse.ArgumentParser:
    """The parser of all commands and their options."""
    parser = Parser(prog="python -m results", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)

    table = commands.add_parser("table", help="one table per suite, our rows beside the published ones")
    _directory(table)
    _output(table)
    table.add_argument("--suite", nargs="+", help="only these suites")
    table.add_argument("--metrics", nargs="+", help="only these, e.g. bbox/AP bbox/AP50")
    table.add_argument("--reference", help="init that gaps are taken to (default: supervised, else msra)")
    table.add_argument(
        "--no-published", action="store_true", help="our rows only, not held against any paper"
    )
    _doubt(table)

    paper = commands.add_parser("paper", help="the tables of MoCo v1 and v2, with our rows where they exist")
    _directory(paper)
    _output(paper)
    paper.add_argument("--table", nargs="+", help="only these, e.g. 5 A.1 v2.1 (default: all)")
    _doubt(paper)

    report = commands.add_parser("report", help="one self-contained HTML page")
    _directory(report)
    report.add_argument("-o", "--output", type=Path, default=Path("report.html"), help="(report.html)")
    report.add_argument("--reference", help="init that gaps are taken to (default: supervised, else msra)")
    _doubt(report)

    verify = commands.add_parser("verify", help="check every record and the journal; exit code 1 on problems")
    _directory(verify)

    merge = commands.add_parser("merge", help="join the records of several directories into one")
    merge.add_argument("destination", type=Path, help="directory to write to; may hold records already")
    merge.add_argument("sources", nargs="+", type=Path, help="directories to read")
    return parser


def _directory(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("directory", nargs="?", default=Path("runs"), type=Path, help="the records (runs)")


def _doubt(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--include-changed",
        action="store_true",
        help="count records that were changed after they were written, too; they stay marked",
    )


def _output(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--format", choices=FORMATS, default="term", help="(term)")
    parser.add_argument("-o", "--output", type=Path, help="write to this file instead of the terminal")


def table_command(args: argparse.Namespace) -> None:
    """`table`: prints a table for each suite in the directory."""
    from results.tables.published import load_published
    from results.tables.suite import build_suite_table, check_metrics

    groups = _groups(args)
    unknown = [suite for suite in args.suite or () if suite not in groups]
    if unknown:
        known = ", ".join(groups)
        raise RecordError(f"no records of {', '.join(unknown)} in {args.directory}; there are {known}")
    papers = load_published()
    shown = {suite: groups[suite] for suite in args.suite or groups}
    if args.metrics:
        check_metrics(args.metrics, shown, papers)
    tables = [
        build_suite_table(rows, suite, args.metrics, not args.no_published, args.reference, papers)
        for suite, rows in shown.items()
    ]
    write_tables(tables, args.format, args.output)


def paper_command(args: argparse.Namespace) -> None:
    """`paper`: prints the papers' tables, with our rows where the directory has any."""
    from results.tables.paper import paper_tables
    from results.tables.published import load_published

    # the papers' tables are of use without any record, but a directory that was asked for must be there
    explicit = args.directory != Path("runs")
    groups = _groups(args) if explicit or (args.directory / "records").is_dir() else {}
    write_tables(paper_tables(load_published(), groups, args.table), args.format, args.output)


def report_command(args: argparse.Namespace) -> None:
    """`report`: writes the HTML page."""
    from results.report.page import render_report

    problems: list[str] = []
    groups = _groups(args, problems)
    page = render_report(groups, args.directory, problems, args.reference)
    write_file(args.output, page, "report.html")
    print_line(f"wrote {args.output}")


def verify_command(args: argparse.Namespace) -> int:
    """`verify`: prints problems, things to act on, and notes, things to know."""
    from results.verify import verify

    verdict = verify(args.directory)
    for problem in verdict.problems:
        print_line(f"problem: {problem}")
    for note in verdict.notes:
        print_line(f"note: {note}")
    records = _count(verdict.records, "record", "records")
    entries = _count(verdict.journal_entries, "journal entry", "journal entries")
    print_line(f"{records}, {entries}, {_count(len(verdict.problems), 'problem', 'problems')}")
    return 1 if verdict.problems else 0


def _count(n: int, one: str, several: str) -> str:
    return f"{n} {one if n == 1 else several}"


def merge_command(args: argparse.Namespace) -> None:
    """`merge`: joins directories, and prints what it did with every clash."""
    from results.merge import merge

    for line in merge(args.destination, args.sources):
        print_line(line)


COMMANDS = {
    "table": table_command,
    "paper": paper_command,
    "report": report_command,
    "verify": verify_command,
    "merge": merge_command,
}


def _groups(args: argparse.Namespace, problems: list[str] | None = None) -> dict[str, list[Trials]]:
    """The rows of the directory's records, by suite.

    A broken or doubted record is named on standard error, never left out in silence.
    """
    from results.journal import LEFT_OUT, RENAMED
    from results.store import load_records
    from results.tables.trials import group_trials

    directory: Path = args.directory
    problems = [] if problems is None else problems
    records = load_records(directory, problems)
    for problem in problems:
        print_line(f"warning: left out {problem}", sys.stderr)
    if not records:
        inside = sorted(path.parent.name for path in directory.glob("*/records"))
        hint = f"; there are some in {', '.join(inside)}" if inside else ""
        raise RecordError(f"no records in {directory}, expected {directory}/records/<suite>/<id>.json{hint}")
    # a file under another name is a second copy of a record as often as not: it never counts
    left_out = (RENAMED,) if args.include_changed else LEFT_OUT
    not_counted = sum(record.get("doubt") in left_out for record in records)
    if not_counted:
        print_line(
            f"warning: {not_counted} of {len(records)} records are not what was written and do not count; "
            f"python -m results verify {directory} names them",
            sys.stderr,
        )
    groups = group_trials(records, left_out)
    if not groups:
        raise RecordError(
            f"no trial in {directory} yet, only the candidates of a tuning; its command goes on"
        )
    return groups


if __name__ == "__main__":
    from converters.command import command

    sys.exit(command(main))
