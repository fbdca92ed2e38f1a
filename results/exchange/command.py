"""Defines the commands `publish` and `pull`, and `verify` of either a bundle or a directory of runs."""

from __future__ import annotations

import argparse
from pathlib import Path

from results.errors import RecordError
from results.options import Parser
from results.output import print_line


def add_parsers(commands: argparse._SubParsersAction[Parser]) -> None:
    """Adds the parsers of `publish` and `pull`."""
    publish = commands.add_parser(
        "publish", help="write a bundle that others can check, merge and score again"
    )
    publish.add_argument("directory", type=Path, help="the records")
    name = "the bundle: a new folder, or NAME.tar.gz or NAME.zip"
    publish.add_argument("-o", "--output", type=Path, required=True, help=name)
    without = "leave the files of predictions out; nobody can score the records again then"
    publish.add_argument("--without-predictions", action="store_true", help=without)
    _forms(publish)

    pull = commands.add_parser("pull", help="check somebody's bundle and merge it")
    pull.add_argument("bundle", type=Path, help="folder, .tar.gz or .zip")
    pull.add_argument("destination", type=Path, help="directory to write to; may hold records already")
    expect_hash(pull)


def _forms(parser: argparse.ArgumentParser) -> None:
    """Adds the forms that are written beside the bundle, each into a new folder."""
    for form, what in (
        ("every-eval-ever", "a JSON file for each finished record, by the schema of Every Eval Ever"),
        ("eval-results", "a .eval_results file for each model repository"),
        ("leaderboard", "a page and its numbers, for any server of files"),
    ):
        parser.add_argument(f"--{form}", type=Path, metavar="DIR", help=what)
    parser.add_argument("--organization", help="who reports the numbers, for --every-eval-ever")
    parser.add_argument(
        "--model", nargs="+", default=[], metavar="INIT=OWNER/NAME", help="the repository of an init"
    )
    form = "SUITE=OWNER/DATASET:TASK"
    parser.add_argument(
        "--benchmark", nargs="+", default=[], metavar=form, help="the registered benchmark that a suite is"
    )


def expect_hash(parser: argparse.ArgumentParser) -> None:
    """Adds --sha256."""
    parser.add_argument("--sha256", help="a bundle's hash over all, as its author told it")


def publish_command(args: argparse.Namespace) -> None:
    """`publish`: writes the bundle, and the forms that are asked for."""
    from results.bundle.publish import publish
    from results.exchange.forms import wanted_forms, write_forms

    folders = (args.every_eval_ever, args.eval_results, args.leaderboard)
    wanted = wanted_forms(folders, args.organization, args.model, args.benchmark)
    for line in publish(args.directory, args.output, not args.without_predictions):
        print_line(line)
    for line in write_forms(args.output, wanted):
        print_line(line)


def pull_command(args: argparse.Namespace) -> None:
    """`pull`: merges a bundle, and prints what it did with every clash."""
    from results.bundle.pull import pull

    for line in pull(args.bundle, args.destination, args.sha256):
        print_line(line)


def verify_command(args: argparse.Namespace) -> int:
    """`verify`: prints problems, things to act on, and notes, things to know; 1 where there are problems."""
    from results.bundle.check import is_bundle, verify_bundle
    from results.verify import verify

    bundle, sha256 = args.directory.exists() and is_bundle(args.directory), ""
    if args.sha256 and not bundle:
        raise RecordError(f"{args.directory} is not a bundle, so it has no hash over all; leave --sha256 out")
    if bundle:
        verdict, sha256 = verify_bundle(args.directory, args.sha256)
    else:
        verdict = verify(args.directory)
    for problem in verdict.problems:
        print_line(f"problem: {problem}")
    for note in verdict.notes:
        print_line(f"note: {note}")
    records = _count(verdict.records, "record", "records")
    entries = _count(verdict.journal_entries, "journal entry", "journal entries")
    kept = f"{_count(verdict.kept_files, 'other file', 'other files')}, " if verdict.kept_files else ""
    problems = _count(len(verdict.problems), "problem", "problems")
    print_line(f"{records}, {entries}, {kept}{problems}" + (f"; hash over all {sha256}" if sha256 else ""))
    return 1 if verdict.problems else 0


def _count(n: int, one: str, several: str) -> str:
    return f"{n} {one if n == 1 else several}"
