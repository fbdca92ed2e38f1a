"""Checks a user's suite for all that a run of it would refuse, by the run's own checks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from yacs.config import CfgNode

from benchmarks.errors import UsageError
from benchmarks.health.finding import OK, PROBLEM, Finding
from benchmarks.planning.cells import Cell, adapts, fit_classes, make_cells
from benchmarks.planning.inits import Init
from benchmarks.planning.own_data import check_tasks
from benchmarks.planning.request import Request
from benchmarks.planning.suite_file import Suite
from transfer.datasets.base import Dataset
from transfer.datasets.coco.own import OwnDataset
from transfer.datasets.own_file import own_dataset
from transfer.datasets.registry import load_dataset
from transfer.engines.choose import choose_engine
from transfer.errors import TransferError
from transfer.recipes.resolve import flatten


def planned(suite: Suite, cfg: CfgNode, root: Path, readable: bool) -> Iterator[Finding]:
    """Plans one cell of the suite, which reads and checks its data.

    A plan stops at its first fault; then all faults of the user's own data are looked for. Where its public
    data are not `readable`, nothing is planned: those are said to be missing already.
    """
    request = Request(
        trials=1, seed=0, engine=choose_engine("auto")[0], smoke=False, synthetic=False, data_root=root,
        num_processes=1, overrides=[], output=root,
    )  # fmt: skip
    first: list[str] = []
    try:
        if readable:
            (cell,) = make_cells(suite, [Init("random", None)], request)
            yield from _good(cell)
            return
    except (UsageError, TransferError) as error:
        first.append(str(error))
    for fault in dict.fromkeys([*first, *own_faults(suite, cfg, request)]):
        yield Finding(PROBLEM, f"{suite.name}: {fault}")


def _good(cell: Cell) -> Iterator[Finding]:
    sets = {dataset.name: dataset for dataset in [*cell.training, cell.test]}
    for name, own in cell.own.items():
        count = sets[name].summary
        says = f"{name}: {count['images']} images, {count['objects']} objects by {own.json}"
        yield Finding(
            OK,
            f"own data for {cell.suite.name}: {says}",
            f"its image files are opened by: {own.check_command}",
        )


def own_faults(suite: Suite, cfg: CfgNode, request: Request) -> list[str]:
    """A line for each fault of the user's data sets; of a JSON the first error, and how many there are."""
    faults: list[str] = []
    own: dict[str, OwnDataset] = {}
    good: list[Dataset] = []
    for name, definition in suite.datasets.items():
        try:
            own[str(name)] = own_dataset(str(name), definition, suite.file)
        except TransferError as error:
            faults.append(str(error))
    flat = flatten(cfg)
    for name, one in own.items():
        try:
            check_tasks(flat, one)
        except TransferError as error:
            faults.append(str(error))
        try:
            good.append(load_dataset(name, request.data_root, own))
        except TransferError as error:
            faults.append(str(error))
    try:
        if good:
            fit_classes(cfg, good, adapts(suite, request, own))
    except TransferError as error:
        faults.append(str(error))
    return faults
