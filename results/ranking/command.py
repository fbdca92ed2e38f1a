"""Runs `compare` without two rows: ranks all rows, or those named, over the suites that they share."""

from __future__ import annotations

import argparse

from results.errors import RecordError
from results.output import print_line, write_file, write_tables
from results.ranking.picture import critical_svg
from results.ranking.printed import ranking_table
from results.ranking.ranking import rank
from results.ranking.scores import Scores, our_scores, published_scores
from results.ranking.short import short_lines
from results.reading import only_suites, read_groups
from results.tables.published import load_published
from results.tables.trials import Trials

PICTURE = ".svg"


def rank_command(args: argparse.Namespace) -> None:
    """Prints the rows by mean rank with the tests over all of them, or draws them into FILE.svg.

    RecordError: options of two rows, or fewer than two rows or suites.
    """
    if args.metrics or args.parts:
        raise RecordError(
            "--metrics and --parts are for two rows, --rows A B; a ranking is of the suites' primary metrics"
        )
    groups = {} if args.published else read_groups(args.directory, args.include_changed)
    scores = _scores(args, groups)
    ranking = rank(scores, args.reference)
    if args.output and args.output.suffix == PICTURE:
        write_file(args.output, critical_svg(ranking, file=True), "ranks.svg")
        print_line(f"wrote {args.output}")
        return
    source = args.published or args.directory
    title = f"{source}: {len(scores.rows)} rows over {len(scores.sets)} {scores.what}"
    table = ranking_table(ranking, title)
    table.legend += short_lines(groups)
    write_tables([table], args.format, args.output)


def _scores(args: argparse.Namespace, groups: dict[str, list[Trials]]) -> Scores:
    if not args.published:
        return our_scores(only_suites(groups, args.suite, args.directory), args.rows)
    if args.rows or args.suite:
        raise RecordError("--rows and --suite choose among records; --published takes a whole table")
    return published_scores(load_published(), args.published)
