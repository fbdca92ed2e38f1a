"""`python -m results`: tables, the papers' tables and a report from a directory of records; checks and
merging.
"""

from __future__ import annotations

import argparse
import gc
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from results.options import Parser
from results.record import RecordError

if TYPE_CHECKING:
    from results.tables.grid import Table
    from results.tables.trials import Trials

FORMATS = (
    "term",
    "md",
    "latex",
    "csv",
    "html",
)  # of results.tables.formats; importing it would slow --help


def main(argv: Sequence[str] | None = None) -> int:
    """The command line. Exit code 2: bad input; 1: `verify` found problems."""
    args = build_parser().parse_args(argv)
    # A short process: a collector that walks 10,000 records again and again costs a third of the time
    # and frees nothing.
    gc.disable()
    try:
        code = int(COMMANDS[args.command](args) or 0)
        _write("", sys.stdout, flush=True)  # a full disk is met here, and never halfway through a merge
        return code
    except BrokenPipeError:
        raise  # `command` ends it
    except (RecordError, OSError) as error:
        say(f"error: {error}", sys.stderr)
        return 2


def build_parser() -> argparse.ArgumentParser:
    """All commands and their options."""
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
    """`table`: the tables of the suites in the directory."""
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
    _print(tables, args.format, args.output)


def paper_command(args: argparse.Namespace) -> None:
    """`paper`: the papers' tables; records are laid in where the directory has any."""
    from results.tables.paper import paper_tables
    from results.tables.published import load_published

    # the papers' tables are of use without any record, but a directory that was asked for must be there
    explicit = args.directory != Path("runs")
    groups = _groups(args) if explicit or (args.directory / "records").is_dir() else {}
    _print(paper_tables(load_published(), groups, args.table), args.format, args.output)


def report_command(args: argparse.Namespace) -> None:
    """`report`: the HTML page."""
    from results.files import write_file
    from results.report.page import render_report

    problems: list[str] = []
    groups = _groups(args, problems)
    page = render_report(groups, args.directory, problems, args.reference)
    write_file(args.output, page, "report.html")
    say(f"wrote {args.output}")


def verify_command(args: argparse.Namespace) -> int:
    """`verify`: problems are things to act on, notes are things to know."""
    from results.verify import verify

    found = verify(args.directory)
    for problem in found.problems:
        say(f"problem: {problem}")
    for note in found.notes:
        say(f"note: {note}")
    records = _count(found.records, "record", "records")
    entries = _count(found.journal_entries, "journal entry", "journal entries")
    say(f"{records}, {entries}, {_count(len(found.problems), 'problem', 'problems')}")
    return 1 if found.problems else 0


def _count(n: int, one: str, several: str) -> str:
    return f"{n} {one if n == 1 else several}"


def merge_command(args: argparse.Namespace) -> None:
    """`merge`: joins directories, and says what it did with every clash."""
    from results.merge import merge

    for line in merge(args.destination, args.sources):
        say(line)


COMMANDS = {
    "table": table_command,
    "paper": paper_command,
    "report": report_command,
    "verify": verify_command,
    "merge": merge_command,
}


def _groups(args: argparse.Namespace, problems: list[str] | None = None) -> dict[str, list[Trials]]:
    """The rows of the directory's records, by suite; what is broken or doubted is named on stderr, never left
    out in silence.
    """
    from results.journal import LEFT_OUT, RENAMED
    from results.store import load_records
    from results.tables.trials import group_trials

    directory: Path = args.directory
    problems = [] if problems is None else problems
    records = load_records(directory, problems)
    for problem in problems:
        say(f"warning: left out {problem}", sys.stderr)
    if not records:
        inside = sorted(path.parent.name for path in directory.glob("*/records"))
        hint = f"; there are some in {', '.join(inside)}" if inside else ""
        raise RecordError(f"no records in {directory}, expected {directory}/records/<suite>/<id>.json{hint}")
    # a file under another name is a second copy of a record as often as not: it never counts
    left_out = (RENAMED,) if args.include_changed else LEFT_OUT
    not_counted = sum(record.get("doubt") in left_out for record in records)
    if not_counted:
        say(
            f"warning: {not_counted} of {len(records)} records are not what was written and do not count; "
            f"python -m results verify {directory} names them",
            sys.stderr,
        )
    return group_trials(records, left_out)


def _print(tables: list[Table], format: str, output: Path | None) -> None:
    from results.tables.formats import FORMATS, term
    from results.tables.terminal import terminal_width

    if output is None and sys.stdout is None:
        raise RecordError("standard output is closed; name a file with -o")
    if output is None and format == "term":
        text = term(tables, terminal_width(), color=sys.stdout.isatty())
    else:
        text = FORMATS[format].write(tables)
    if output is None:
        _write(text, sys.stdout)
        return
    from results.files import write_file

    write_file(output, text, f"table{FORMATS[format].suffix}")
    say(f"wrote {output}")


def say(text: str, stream: TextIO | None = None) -> None:
    """Prints one line; names and messages from files cannot steer the terminal."""
    from results.tables.escape import plain

    _write(plain(text) + "\n", stream or sys.stdout)


def _write(text: str, stream: TextIO, flush: bool = False) -> None:
    """Writes the text as it is; RecordError, not a bare error number, where standard output is full."""
    try:
        print(text, end="", file=stream, flush=flush)
    except BrokenPipeError:
        raise  # `command` ends it
    except OSError as error:
        if stream is not sys.stdout:
            raise
        # what is still held back would fail once more when the interpreter ends
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
        raise RecordError(f"standard output: {error.strerror}") from None


if __name__ == "__main__":
    from converters.command import command

    sys.exit(command(main))
