"""Runs the cells of a plan; where rates are tuned, the candidates first, then the trials at the best rates.

Both are given to the same launcher, which waits for the candidates. A row whose rate cannot be chosen yet is
left out, and the others go on.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from benchmarks.launch.choose import Launch, run_cells
from benchmarks.launch.job import STOPPED
from benchmarks.planning.cells import Cell
from benchmarks.planning.request import Request
from benchmarks.planning.tuning import candidates_of, factors, tuned_cells
from transfer.datasets.split import RULE

if TYPE_CHECKING:
    from benchmarks.launch.torchrun import Team


def run_all(
    cells: Sequence[Cell], request: Request, launch: Launch, team: Team | None
) -> tuple[int, list[Cell]]:
    """Runs the trials `cells`, tuned before if that was asked for.

    Returns the exit code of the whole, see `run_cells`, and the trials as they were run: those of rows whose
    rate is known. A candidate that diverged is no failure.
    """
    if not request.tune:
        return run_cells(cells, request, launch, team), list(cells)
    candidates = candidates_of(cells, request.tune)
    grid = " ".join(f"{factor:g}" for factor in factors(request.tune))
    print(f"tuning: SOLVER.BASE_LR x {grid} of every row, on a split of train ({RULE})", file=sys.stderr)
    ready = tuned_cells(cells, candidates, request.output)[0]
    settled = {(cell.suite.name, cell.init.label) for cell in ready}
    later = [cell for cell in cells if (cell.suite.name, cell.init.label) not in settled]
    code = run_cells(candidates, request, launch, team, later)
    trials, said, open_rows = tuned_cells(cells, candidates, request.output)
    if code == STOPPED[0]:
        return code, trials
    for line in [*said, *(f"error: {line}" for line in open_rows)]:
        print(line, file=sys.stderr)
    after = run_cells(trials, request, launch, team)
    return after or ((code or 1) if open_rows else 0), trials
