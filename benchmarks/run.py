#!/usr/bin/env python
"""Runs suites x inits x trials and prints their tables: the one command of this project."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if __package__ in (None, ""):  # started as a file: our packages lie beside this folder
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from benchmarks.arguments import data_root, last_of_each, launch_of, parser, refuse_output, split_overrides
from benchmarks.errors import UsageError, one_line
from converters.errors import CheckpointError
from converters.trackers import TrackerError, Trackers
from results.errors import RecordError
from transfer.errors import TransferError
from transfer.process.disk import disk_line

if TYPE_CHECKING:
    import argparse

    from benchmarks.launch.torchrun import Team
    from benchmarks.planning.foresight import Draft
    from benchmarks.planning.request import Request

# Variables that torchrun sets for each of its processes.
_TORCHRUN = {"RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"}


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns 0 done, 1 a cell failed, 2 bad input, 130 stopped by a signal."""
    return _in_team(argv) if os.environ.keys() >= _TORCHRUN else _main(argv, None)


def _main(argv: Sequence[str] | None, team: Team | None) -> int:
    try:
        options, overrides = split_overrides(sys.argv[1:] if argv is None else argv)
        args = parser().parse_args(options)
        if args.list:
            from benchmarks.planning.listing import show_list

            show_list()
            return 0
        return _benchmark(args, overrides, team)
    except BrokenPipeError:
        raise  # nobody reads the output any more: `command` ends it
    except (UsageError, TransferError, CheckpointError, RecordError, TrackerError) as error:
        print(f"error: {one_line(error)}", file=sys.stderr)
    except OSError as error:
        print(f"error: {one_line(disk_line(error, 'output'))}", file=sys.stderr)
    return 2


def _in_team(argv: Sequence[str] | None) -> int:
    """Runs as one of torchrun's processes: the first plans for all, the others follow it."""
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
    """Plans all suites, then runs the cells and prints the tables, or only shows the plan."""
    if args.overrides:
        raise UsageError(
            f"{args.overrides[0]!r} is no override; overrides are pairs like SOLVER.MAX_ITER 100"
        )
    if args.print_config:
        return _print_config(args, overrides, team)
    if not args.suite or not args.init:
        raise UsageError("--suite and --init are needed; --list shows the suites, --help an example")

    from benchmarks.launch.tune import run_all
    from benchmarks.planning.cells import cells_of
    from benchmarks.planning.dry_run import show_plan
    from benchmarks.planning.evaluation import evaluations
    from benchmarks.planning.inits import introduction, open_inits
    from benchmarks.planning.random_rows import one_a_shape
    from benchmarks.planning.retrained import refuse_retrained
    from benchmarks.planning.trials import all_seeds, told_of_trials
    from benchmarks.tables import write_tables
    from transfer.recipes.architectures import architecture_of
    from transfer.recipes.resolve import flatten

    launch = launch_of(args)
    drafts, request = _drafts(args, overrides, team)
    families = [architecture_of(flatten(draft.recipe.cfg)).family for draft in drafts]
    opened = open_inits(args.init, not args.dry_run, all_seeds(drafts))
    inits, added = one_a_shape(opened, families)
    for line in [
        *added,
        *told_of_trials(drafts, inits),
        *(line for init in inits for line in introduction(init)),
    ]:
        print(line, file=sys.stderr)
    if args.dry_run:
        show_plan(drafts, inits, _hardware_here(args), args.device)
        return 0
    if request.synthetic:
        _make_data(drafts, request.data_root)
    cells = [cell for draft in drafts for cell in cells_of(draft, inits)]
    refuse_retrained(cells, request.output)
    if request.evaluate is not None:
        cells = evaluations(cells, request)
    scalings = (f"{cell.suite.name}: {cell.scaling.line}" for cell in cells if cell.scaling.line)
    warnings = (f"{c.test.name}: {line}" for c in cells for line in c.test.summary.get("warnings", ()))
    for line in dict.fromkeys([*scalings, *warnings]):
        print(line, file=sys.stderr)
    code, cells = run_all(cells, request, launch, team)
    if cells:
        write_tables(cells, request)
    return code


def _print_config(args: argparse.Namespace, overrides: list[tuple[str, str]], team: Team | None) -> int:
    """Prints the recipe of one suite as YAML, fit to the init (random), and nothing else."""
    import json

    import yaml

    from benchmarks.planning.cells import with_facts_of
    from benchmarks.planning.inits import open_inits

    inits = open_inits(args.init or ["random"], fetch=False, seeds=[args.seed])
    if len(args.suite or ()) != 1 or len(inits) != 1:
        given = f"{len(args.suite or ())} and {len(inits) if args.init else 0}"
        raise UsageError(f"--print-config: expected one --suite and at most one --init, got {given}")
    drafts, request = _drafts(args, overrides, team)
    if len(drafts) != 1:
        names = ", ".join(draft.suite.name for draft in drafts)
        raise UsageError(f"--print-config: {args.suite[0]} is a group; name one of {names}")
    (init,) = inits
    if init.absent:  # their facts belong to the recipe
        raise UsageError(f"--print-config: {init.absent} is not fetched yet; leave --init out, or run it")
    flat = with_facts_of(init, drafts[0].recipe_of(init.label).cfg, request)
    # through JSON: YAML has no tuples
    print(yaml.safe_dump(json.loads(json.dumps(flat)), sort_keys=False, default_flow_style=None), end="")
    return 0


def _drafts(
    args: argparse.Namespace, overrides: list[tuple[str, str]], team: Team | None
) -> tuple[list[Draft], Request]:
    """The suites, resolved and checked; says which engine trains and what is odd."""
    from benchmarks.planning.foresight import foresee
    from benchmarks.planning.request import Request
    from benchmarks.planning.suite import load_suites
    from benchmarks.planning.trials import seeds
    from transfer.engines.choose import choose_engine

    overrides, notes = last_of_each(overrides)
    if args.tune and (args.limit or args.eval_only is not None):
        raise UsageError("--tune trains, and scores on a part of train; leave --limit and --eval-only out")
    suites = load_suites(args.suite)
    engine, why = choose_engine(args.engine)
    print(why, file=sys.stderr)
    request = Request(
        trials=args.trials,
        seed=args.seed,
        engine=engine,
        smoke=args.smoke,
        synthetic=args.data == "synthetic",
        data_root=data_root(args.data_root, args.data == "synthetic", args.output),
        num_processes=team.place.size if team else args.num_gpus,
        overrides=overrides,
        output=args.output,
        accumulate=args.accumulate,
        deterministic=args.deterministic,
        tune=args.tune,
        limit=args.limit,
        evaluate=args.eval_only,
        trackers=Trackers(args.tensorboard, args.tracker),
    )
    if not args.dry_run and not args.print_config:
        _check_machine(args, request.trackers)
    drafts = []
    for suite in suites:
        seeds(suite, request)
        drafts.append(foresee(suite, request))
    for note in [*notes, *(note for draft in drafts for note in draft.notes)]:
        print(note, file=sys.stderr)
    return drafts, request


def _check_machine(args: argparse.Namespace, trackers: Trackers) -> None:
    """Refuses an unwritable output, and devices and trackers that are not there, before anything is made."""
    refuse_output(args.output)
    trackers.check()
    if args.launcher == "local":  # a cluster's devices are not those of the machine where it is asked
        from transfer.process.distributed import pick_device

        pick_device(args.device, args.num_gpus)


def _hardware_here(args: argparse.Namespace) -> str | None:
    """The name of what cells would run on; None where it is a cluster's, or this machine lacks it."""
    from benchmarks.launch.local import hardware
    from benchmarks.planning.environment import cpu_name

    if args.launcher != "local" or args.smoke:  # a miniature's plan does without torch
        return None
    try:
        name = hardware(args.device, args.num_gpus)
    except TransferError:
        return None
    # Several GPUs were asked for, and there is none: the plan is for another machine.
    return None if args.num_gpus > 1 and not args.device and name == cpu_name() else name


def _make_data(drafts: Sequence[Draft], root: Path) -> None:
    """Generates the data sets of all suites, each once."""
    from benchmarks.planning.labelled import draw_labelled
    from transfer.datasets.synthetic.make import make_synthetic

    for draft in drafts:
        datasets = draft.recipe.cfg.DATASETS
        if draft.labelled:
            draw_labelled(draft.labelled)
        else:
            make_synthetic([*datasets.TRAIN, *datasets.TEST], root)


if __name__ == "__main__":
    from converters.command import command

    sys.exit(command(main))
