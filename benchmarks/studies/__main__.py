"""Runs a study: `python -m benchmarks.studies NAME --data DIR`. Each step is a command to type."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.errors import UsageError, one_line
from converters.command import command
from converters.options import Parser
from transfer.process.disk import disk_line


def main(argv: Sequence[str] | None = None) -> int:
    """Runs or shows a study; returns 0, 2 for bad input or absent data, or the code of a failed step."""
    parser = Parser("python -m benchmarks.studies", description="Studies on real images, a command each.")
    parser.add_argument("name", nargs="?", metavar="NAME", help="the study; --list shows them")
    parser.add_argument(
        "--data", type=Path, metavar="DIR", help="the folder with the checkouts of the sources"
    )
    parser.add_argument("--output", type=Path, metavar="DIR", help="default: runs/studies/NAME")
    parser.add_argument("--dry-run", action="store_true", help="commands, data that are absent, core hours")
    parser.add_argument("--list", action="store_true", help="the studies, then stop")
    args = parser.parse_args(argv)
    if not args.list and not args.name:
        parser.error("NAME: expected a study")
    try:
        return _list() if args.list else _study(args.name, args.data, args.output, args.dry_run)
    except UsageError as error:
        print(f"error: {one_line(error)}", file=sys.stderr)
    except OSError as error:
        print(f"error: {one_line(disk_line(error, str(args.output or 'runs')))}", file=sys.stderr)
    return 2


def _study(name: str, data: Path | None, output: Path | None, dry: bool) -> int:
    from benchmarks.studies.plan import load_study
    from benchmarks.studies.steps import places, run_steps, show

    output = output or Path("runs") / "studies" / name
    named = places(data or Path("DATA"), output)
    study = load_study(name, named)
    prepared = Path(named["work"]) / "data"
    if dry:
        show(study, data or Path("DATA"), prepared)
        return 0
    if data is None or not data.is_dir():
        given = "not given" if data is None else f"{data}, which is no folder"
        raise UsageError(
            f"--data is {given}; expected the folder that holds the sources (--dry-run lists them)"
        )
    return run_steps(study, data, prepared)


def _list() -> int:
    from benchmarks.studies.plan import PLACES, load_study, study_names

    anywhere = dict.fromkeys(PLACES, "")
    for name in study_names():
        study = load_study(name, anywhere)
        hours = sum(step.core_hours for step in study.steps)
        print(f"{name}: {study.question} ({len(study.steps)} steps, {hours:.1f} core hours)")
    return 0


if __name__ == "__main__":
    sys.exit(command(main))
