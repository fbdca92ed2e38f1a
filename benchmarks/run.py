#!/usr/bin/env python
"""Suites x inits x trials in, tables out: the one command of this project."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if __package__ in (None, ""):  # started as a file: our packages lie beside this folder
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from benchmarks.arguments import check_together, data_root, last_of_each, parser, split_overrides
from benchmarks.errors import UsageError, one_line
from converters.errors import CheckpointError
from results.errors import RecordError
from transfer.errors import TransferError
from transfer.process.disk import disk_line, writing

if TYPE_CHECKING:
    import argparse

    from benchmarks.launch.job import Job
    from benchmarks.launch.torchrun import Team
    from benchmarks.planning.cells import Cell, Request
    from benchmarks.planning.suite import Suite

# What torchrun sets for each of its processes.
_TORCHRUN = {"RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"}


def main(argv: Sequence[str] | None = None) -> int:
    """Exit code: 0 done, 1 a cell failed, 2 bad input, 130 stopped by a signal."""
    return _in_team(argv) if os.environ.keys() >= _TORCHRUN else _main(argv, None)


def _main(argv: Sequence[str] | None, team: Team | None) -> int:
    try:
        options, overrides = split_overrides(sys.argv[1:] if argv is None else argv)
        args = parser().parse_args(options)
        if args.list:
            from benchmarks.planning.dry_run import show_list

            show_list()
            return 0
        return _benchmark(args, overrides, team)
    except BrokenPipeError:
        raise  # nobody reads the output any more: `command` ends it
    except (UsageError, TransferError, CheckpointError, RecordError) as error:
        print(f"error: {one_line(error)}", file=sys.stderr)
    except OSError as error:
        print(f"error: {one_line(disk_line(error, 'output'))}", file=sys.stderr)
    return 2


def _in_team(argv: Sequence[str] | None) -> int:
    """Several processes, started by torchrun: the first plans for all, the others follow it."""
    from benchmarks.launch.torchrun import dismiss, follow, join
    from transfer.process.distributed import member

    place = member()
    if place is None:  # one process
        return _main(argv, None)
    team = join(place)
    if place.rank > 0:
        return follow(team)
    try:
        return _main(argv, team)
    finally:
        dismiss(team)


def _benchmark(args: argparse.Namespace, overrides: list[tuple[str, str]], team: Team | None) -> int:
    if args.overrides:
        raise UsageError(
            f"{args.overrides[0]!r} is no override; overrides are pairs like SOLVER.MAX_ITER 100"
        )
    if not args.suite or not args.init:
        raise UsageError("--suite and --init are needed; --list shows the suites, --help an example")

    from benchmarks.planning.cells import Request, make_cells, seeds
    from benchmarks.planning.dry_run import show_plan
    from benchmarks.planning.foresight import foresee
    from benchmarks.planning.inits import introduction, open_inits
    from benchmarks.planning.suite import load_suites
    from transfer.engines.choose import choose_engine

    check_together(args)
    overrides, notes = last_of_each(overrides)
    suites = load_suites(args.suite)
    engine, why = choose_engine(args.engine)
    print(why, file=sys.stderr)
    synthetic = args.data == "synthetic"
    request = Request(
        trials=args.trials,
        seed=args.seed,
        engine=engine,
        smoke=args.smoke,
        synthetic=synthetic,
        data_root=data_root(args.data_root, synthetic, args.output),
        num_processes=team.place.size if team else args.num_gpus,
        overrides=overrides,
        output=args.output,
        accumulate=args.accumulate,
        deterministic=args.deterministic,
    )
    if not args.dry_run:
        _check_machine(args)
    for suite in suites:
        seeds(suite, request)
        notes += foresee(suite, request)
    for note in notes:
        print(note, file=sys.stderr)
    inits = open_inits(args.init, fetch=not args.dry_run)
    for line in (line for init in inits for line in introduction(init)):
        print(line, file=sys.stderr)
    if args.dry_run:
        show_plan(suites, inits, request)
        return 0
    if synthetic:
        _make_data(suites, request)
    cells = [cell for suite in suites for cell in make_cells(suite, inits, request)]
    for line in dict.fromkeys(
        f"{cell.suite.name}: {cell.scaling.line}" for cell in cells if cell.scaling.line
    ):
        print(line, file=sys.stderr)
    return _run(cells, request, args, team)


def _run(cells: list[Cell], request: Request, args: argparse.Namespace, team: Team | None) -> int:
    """Runs what is to be run and prints the tables; what is skipped is said."""
    from benchmarks.launch.job import prepare
    from benchmarks.planning.cells import status
    from benchmarks.planning.forecast import outlook, to_do
    from benchmarks.tables import write_tables

    known = {cell.id: status(cell, request.output) for cell in cells}
    todo = to_do(cells, known, args.policy)

    def jobs() -> list[Job]:
        with writing(request.output):
            return [prepare(cell, request, args.device, args.policy == "rerun") for cell in todo]

    if team:
        from benchmarks.launch.torchrun import run_team

        code = run_team(jobs(), team)
    elif args.launcher == "slurm":
        from benchmarks.launch.slurm import Options, check_cluster, run_slurm

        options = Options.of(args)
        check_cluster(options)
        outlook(cells, known, todo, request, None, args.jobs)
        code = run_slurm(jobs(), options, request.output)
    else:
        from benchmarks.launch.local import hardware, run_local, slots_of

        slots = slots_of(args.device, request.num_processes, args.jobs)
        outlook(cells, known, todo, request, hardware(args.device, args.num_gpus), len(slots))
        code = run_local(jobs(), slots)
    write_tables(cells, request)
    failed = not todo and "failed" in known.values()
    return 1 if failed and code == 0 else code


def _check_machine(args: argparse.Namespace) -> None:
    """Refuses an unwritable output and devices that do not exist, before anything is made."""
    output: Path = args.output.absolute()
    there = next(path for path in [output, *output.parents] if path.exists())
    if not there.is_dir():
        raise UsageError(f"--output {args.output}: {there} is a file; choose another folder")
    if not os.access(there, os.W_OK | os.X_OK):
        raise UsageError(f"--output {args.output}: {there} is not writable; choose another folder")
    if args.launcher == "local":  # a cluster's devices are not those of the machine where it is asked
        from transfer.process.distributed import pick_device

        pick_device(args.device, args.num_gpus)


def _make_data(suites: list[Suite], request: Request) -> None:
    from benchmarks.planning.cells import resolve
    from transfer.datasets.synthetic.make import make_synthetic

    for suite in suites:
        cfg = resolve(suite, request)
        make_synthetic([*cfg.DATASETS.TRAIN, *cfg.DATASETS.TEST], request.data_root)


if __name__ == "__main__":
    from converters.command import command

    sys.exit(command(main))
