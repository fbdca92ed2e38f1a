"""Prepares sets for the suites: `python -m benchmarks.studies.data NAME --source DIR --output DIR`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.errors import UsageError, one_line
from converters.command import command
from converters.options import Parser
from transfer.process.disk import disk_line


def main(argv: Sequence[str] | None = None) -> int:
    """Prepares the sets; returns 0 done or there already, 2 bad input, absent sources, a full disk."""
    from benchmarks.studies.data.prepare import prepare
    from benchmarks.studies.data.sets import OTHERS, SETS

    says = "Prepares public image sets for the studies: small images, COCO JSON, fixed splits."
    parser = Parser("python -m benchmarks.studies.data", description=says)
    parser.add_argument(
        "name", nargs="+", choices=[*SETS, *OTHERS], metavar="NAME", help=", ".join([*SETS, *OTHERS])
    )
    parser.add_argument(
        "--source", type=Path, required=True, metavar="DIR", help="the checkouts, side by side"
    )
    parser.add_argument(
        "--output", type=Path, required=True, metavar="DIR", help="each set gets a folder of its name in it"
    )
    args = parser.parse_args(argv)
    for name in args.name:
        try:
            about = prepare(name, args.source, args.output)
        except UsageError as error:
            print(f"error: {one_line(error)}", file=sys.stderr)
            return 2
        except OSError as error:
            print(f"error: {name}: {one_line(disk_line(error, str(args.output)))}", file=sys.stderr)
            return 2
        counts = {split: count["images"] for split, count in about.get("splits", {}).items()}
        counts = counts or about.get("images") or about["arrays"]
        print(f"{name}: {args.output / name}: {', '.join(f'{part} {n}' for part, n in counts.items())}")
    return 0


if __name__ == "__main__":
    sys.exit(command(main))
