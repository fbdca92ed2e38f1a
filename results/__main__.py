"""Makes tables and a report from a directory of records; checks and merges such directories."""

from __future__ import annotations

import argparse
import gc
import sys
from collections.abc import Sequence
from pathlib import Path

from converters.command import add_version
from results.errors import RecordError
from results.exchange.command import add_parsers, expect_hash, publish_command, pull_command, verify_command
from results.options import Parser
from results.output import print_line, print_text, write_file, write_tables
from results.tables.formats import FORMATS


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
    add_version(parser)
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
    _images(table)

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
    _images(report)

    verify = commands.add_parser("verify", help="check every record and the journal; exit code 1 on problems")
    _directory(verify, "the records, or a bundle (runs)")
    expect_hash(verify)
    add_parsers(commands)

    _evidence(commands)

    merge = commands.add_parser("merge", help="join the records of several directories into one")
    merge.add_argument("destination", type=Path, help="directory to write to; may hold records already")
    merge.add_argument("sources", nargs="+", type=Path, help="directories to read")
    return parser


def _evidence(commands: argparse._SubParsersAction[Parser]) -> None:
    compare = commands.add_parser(
        "compare", help="one row against another, or all rows over all suites: means, ranks and their tests"
    )
    _directory(compare)
    compare.add_argument(
        "--rows",
        nargs="+",
        help="A B: A minus B in every suite, by label or init; more, or none for all: ranked over the suites",
    )
    compare.add_argument("--reference", help="ranked: the row that wins and losses are counted against")
    compare.add_argument("--published", metavar="TABLE", help="rank the rows of a published table instead")
    compare.add_argument("--suite", nargs="+", help="only these suites")
    compare.add_argument("--metrics", nargs="+", help="these instead of the primary one")
    compare.add_argument("--parts", action="store_true", help="which classes and sizes gained, too")
    compare.add_argument("--format", choices=("term", "md"), default="term", help="(term)")
    compare.add_argument(
        "-o", "--output", type=Path, help="write to this file; FILE.svg of ranked rows is a picture"
    )
    _doubt(compare)

    keep = commands.add_parser("keep", help="add records and frozen results of runs to a study's folder")
    keep.add_argument("directory", type=Path, help="the study's folder, such as results/reference/NAME")
    keep.add_argument("sources", nargs="+", type=Path, help="directories of runs")

    evidence = commands.add_parser("evidence", help="the page of all studies, with tests, curves and tables")
    evidence.add_argument("directory", type=Path, help="the folder of the studies' folders")
    evidence.add_argument("-o", "--output", type=Path, required=True, help="FILE.md; figures go to FILE/")


def _directory(parser: argparse.ArgumentParser, what: str = "the records (runs)") -> None:
    parser.add_argument("directory", nargs="?", default=Path("runs"), type=Path, help=what)


def _doubt(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--include-changed",
        action="store_true",
        help="count records that were changed after they were written, too; they stay marked",
    )


def _images(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--images",
        action="store_true",
        help="resample large detection sets, too: intervals and tests over test images; minutes",
    )


def _output(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--format", choices=FORMATS, default="term", help="(term)")
    parser.add_argument("-o", "--output", type=Path, help="write to this file instead of the terminal")


def table_command(args: argparse.Namespace) -> None:
    """`table`: prints a table for each suite in the directory."""
    from results.ranking.short import short_lines
    from results.reading import only_suites, read_groups
    from results.tables.columns import check_metrics
    from results.tables.published import load_published
    from results.tables.suite import build_suite_table

    groups = read_groups(args.directory, args.include_changed)
    shown = only_suites(groups, args.suite, args.directory)
    papers = load_published()
    if args.metrics:
        check_metrics(args.metrics, shown, papers)
    tables = [
        build_suite_table(
            rows, suite, args.metrics, not args.no_published, args.reference, papers, args.images
        )
        for suite, rows in shown.items()
    ]
    tables[-1].legend += short_lines(groups)
    write_tables(tables, args.format, args.output)


def paper_command(args: argparse.Namespace) -> None:
    """`paper`: prints the papers' tables, with our rows where the directory has any."""
    from results.reading import read_groups
    from results.tables.paper import paper_tables
    from results.tables.published import load_published

    # the papers' tables are of use without any record, but a directory that was asked for must be there
    explicit = args.directory != Path("runs")
    there = explicit or (args.directory / "records").is_dir()
    groups = read_groups(args.directory, args.include_changed) if there else {}
    write_tables(paper_tables(load_published(), groups, args.table), args.format, args.output)


def report_command(args: argparse.Namespace) -> None:
    """`report`: writes the HTML page."""
    from results.reading import read_groups
    from results.report.page import render_report

    problems: list[str] = []
    groups = read_groups(args.directory, args.include_changed, problems)
    page = render_report(groups, args.directory, problems, args.reference, args.images)
    write_file(args.output, page, "report.html")
    print_line(f"wrote {args.output}")


def merge_command(args: argparse.Namespace) -> None:
    """`merge`: joins directories, and prints what it did with every clash."""
    from results.merge import merge

    for line in merge(args.destination, args.sources):
        print_line(line)


def compare_command(args: argparse.Namespace) -> None:
    """`compare`: a line, or a row of a table, for each suite that has both rows; or a ranking of all rows."""
    if args.published or len(args.rows or ()) != 2:
        from results.ranking.command import rank_command

        rank_command(args)
        return
    from results.evidence.compare import compare_suites
    from results.evidence.printed import comparison, parts
    from results.reading import only_suites, read_groups

    groups = only_suites(read_groups(args.directory, args.include_changed), args.suite, args.directory)
    names = (args.rows[0], args.rows[1])
    lines = compare_suites(groups, names, args.metrics)
    pieces = [comparison(lines, args.format)]
    if args.parts:
        pieces += parts(lines, groups, names, args.directory, args.format)
    text = "\n".join(pieces)
    if args.output:
        write_file(args.output, text, "compare.md")
        print_line(f"wrote {args.output}")
    else:
        print_text(text)


def keep_command(args: argparse.Namespace) -> None:
    """`keep`: adds what runs have shown to the folder of a study."""
    from results.evidence.keep import keep

    for line in keep(args.directory, args.sources):
        print_line(line)


def evidence_command(args: argparse.Namespace) -> None:
    """`evidence`: writes the page of all studies and its figures."""
    from results.evidence.page import write_page

    for line in write_page(args.directory, args.output):
        print_line(line)


COMMANDS = {
    "table": table_command,
    "paper": paper_command,
    "report": report_command,
    "verify": verify_command,
    "merge": merge_command,
    "publish": publish_command,
    "pull": pull_command,
    "compare": compare_command,
    "keep": keep_command,
    "evidence": evidence_command,
}


if __name__ == "__main__":
    from converters.command import command

    sys.exit(command(main))
