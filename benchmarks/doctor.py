"""Tells whether this machine is ready, and if not, what is to be done: `python -m benchmarks.doctor`."""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.arguments import data_root
from benchmarks.errors import UsageError
from benchmarks.health import data, libraries, machine
from benchmarks.health.finding import OK, PROBLEM, Finding
from benchmarks.launch import child
from converters.command import command
from converters.options import Parser
from transfer.errors import TransferError

IMPORTS_OF_A_CELL = "import benchmarks.cell; print(benchmarks.cell.__file__)"


def main(argv: Sequence[str] | None = None) -> int:
    """Prints all findings; returns 0 ready, 1 something that is needed is broken, 2 wrong use."""
    parser = Parser("python -m benchmarks.doctor", description=f"{(__doc__ or '').partition(':')[0]}.")
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
    needed = list(libraries.python())
    yield from needed
    if any(finding.level == PROBLEM for finding in needed):
        return  # whatever is asked next imports what is missing, and would only say so again
    yield from libraries.metrics()
    yield from libraries.opencv()
    yield from libraries.torch()
    yield from libraries.detectron2()
    yield from cell_process()
    yield from data.find_data(root, args.suite or ["paper"], needed=args.suite is not None)
    yield from machine.weights()
    yield from machine.resources(args.output)
    yield from machine.slurm()


def cell_process() -> Iterator[Finding]:
    """Starts a process as a cell's is started, and lets it import what a cell imports.

    A path that is wrong for children alone shows nowhere else.
    """
    called = [sys.executable, "-c", IMPORTS_OF_A_CELL]
    ended = subprocess.run(called, env=child.environment(), capture_output=True, text=True)
    found, wanted = ended.stdout.strip(), Path(__file__).with_name("cell.py")
    if ended.returncode == 0 and Path(found).resolve() == wanted.resolve():
        yield Finding(OK, "a cell's process starts, and imports this copy")
        return
    lines = ended.stderr.strip().splitlines() or [f"ended with exit code {ended.returncode}"]
    says = f"it would run {found} instead of {wanted}" if ended.returncode == 0 else lines[-1]
    how = "look for what shadows the standard library or our packages, here and in PYTHONPATH"
    yield Finding(PROBLEM, f"a cell's process does not start: {says}", how)


def _print(finding: Finding) -> None:
    print(f"{finding.level:>7}  {finding.what}", flush=True)
    if finding.fix:
        print(f"{'':>7}  -> {finding.fix}", flush=True)


if __name__ == "__main__":
    sys.exit(command(main))
