"""`python -m benchmarks.doctor`: is this machine ready, and if not, what is to be done."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks import checks
from benchmarks.arguments import data_root
from benchmarks.checks import OK, PROBLEM, Finding
from benchmarks.errors import UsageError
from transfer.errors import TransferError


def main(argv: Sequence[str] | None = None) -> int:
    """Exit code: 0 ready, 1 something that is needed is broken, 2 wrong use."""
    parser = argparse.ArgumentParser("python -m benchmarks.doctor", description=__doc__)
    parser.add_argument("--suite", nargs="+", metavar="NAME|FILE", help="their data must be there")
    parser.add_argument("--data-root", type=Path, help="default: $DETECTRON2_DATASETS, else ./datasets")
    parser.add_argument("--output", type=Path, default=Path("runs"), help="where results will be kept (runs)")
    args = parser.parse_args(argv)

    problems = 0
    try:
        for finding in _all(args):
            problems += finding.level == PROBLEM
            _print(finding)
    except (UsageError, TransferError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    _print(Finding(PROBLEM, f"{problems} to mend") if problems else Finding(OK, "ready"))
    return 1 if problems else 0


def _all(args: argparse.Namespace) -> Iterator[Finding]:
    root = data_root(args.data_root, synthetic=False, output=args.output)
    yield from checks.python()
    yield from checks.torch()
    yield from checks.detectron2()
    yield from checks.metrics()
    yield from checks.data(root, args.suite or ["paper"], needed=args.suite is not None)
    yield from checks.weights()
    yield from checks.machine(args.output)
    yield from checks.slurm()


def _print(finding: Finding) -> None:
    print(f"{finding.level:>7}  {finding.what}", flush=True)
    if finding.fix:
        print(f"{'':>7}  -> {finding.fix}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
