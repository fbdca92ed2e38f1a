"""Runs the cells of a plan by the launcher that was asked for: this machine, a Slurm cluster or torchrun."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks.launch.job import Job
from benchmarks.launch.job_file import write_job
from benchmarks.launch.slurm_options import Options
from benchmarks.planning.cells import OUTDATED, Cell, status
from benchmarks.planning.forecast import cells_to_run, print_forecast
from benchmarks.planning.request import Request
from transfer.process.disk import writing

if TYPE_CHECKING:
    from benchmarks.launch.torchrun import Team


@dataclass(frozen=True)
class Launch:
    """Where and how cells run, as it was asked for on the command line."""

    policy: str  # a key of forecast.KEPT
    device: str | None  # None: cuda where there is one
    gpus_per_cell: int
    at_once: int | None  # None: all that the machine holds
    slurm: Options | None  # None: this machine


def run_cells(
    cells: Sequence[Cell], request: Request, launch: Launch, team: Team | None, later: Sequence[Cell] = ()
) -> int:
    """Runs those of the cells that the policy asks for, and prints the forecast before.

    `later` are cells that another call will run: the forecast counts them. Returns the exit code: 0 all
    finished, 1 a cell is not, 2 bad input, 130 stopped by a signal.
    """
    known = {cell.id: status(cell, request.output) for cell in cells}
    todo = cells_to_run(cells, known, launch.policy)

    def jobs() -> list[Job]:
        with writing(request.output):
            again = {cell.id: launch.policy == "rerun" or known[cell.id] == OUTDATED for cell in todo}
            return [write_job(cell, request, launch.device, again[cell.id]) for cell in todo]

    if team:
        from benchmarks.launch.torchrun import run_team

        code = run_team(jobs(), team)
    elif launch.slurm:
        from benchmarks.launch.slurm import check_cluster, run_slurm

        check_cluster(launch.slurm)
        print_forecast(cells, known, todo, request, None, launch.at_once, later=later)
        code = run_slurm(jobs(), launch.slurm, request.output)
    else:
        from benchmarks.launch.local import hardware, run_local, slots_of

        slots = slots_of(launch.device, request.num_processes, launch.at_once)
        name = hardware(launch.device, launch.gpus_per_cell)
        print_forecast(cells, known, todo, request, name, len(slots), launch.device, later)
        code = run_local(jobs(), slots)
    failed = not todo and "failed" in known.values()
    return 1 if failed and code == 0 else code
