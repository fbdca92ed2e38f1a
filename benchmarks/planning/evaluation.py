"""Plans `--eval-only`: cells that train nothing and evaluate a model which is there already."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from benchmarks.errors import UsageError
from benchmarks.planning.cells import Cell
from benchmarks.planning.download import file_sha256
from benchmarks.planning.labelled import is_probe
from benchmarks.planning.request import Request
from results.record import Evaluated, record_id
from results.run_files import cell_directories
from results.store import find_record

MODEL = "model_final.pth"
OWN = "the cell's own model"  # in an identity, so that the trials of a row stay one row
REASON = "evaluated only: {}, by --eval-only"


def evaluations(cells: Sequence[Cell], request: Request) -> list[Cell]:
    """The cells as evaluations; all but theirs of a model, data and metric stays as it was planned.

    Without a file each evaluates the model of the finished cell that it would be. UsageError where there is
    none, where one file is to be several cells, and for probes, which fine-tune nothing.
    """
    for cell in cells:
        if is_probe(cell.recipe):
            raise UsageError(f"--eval-only: {cell.suite.name} fine-tunes no model; leave --eval-only out")
    if request.evaluate:
        return _of_file(cells, Path(request.evaluate), request)
    return list(_of_cells(cells, request.output))


def _of_file(cells: Sequence[Cell], path: Path, request: Request) -> list[Cell]:
    rows = {(cell.suite.name, cell.init.label) for cell in cells}
    if len(rows) > 1 or (request.trials or 1) > 1:
        raise UsageError(
            f"--eval-only {path}: one file is one trial of one row; name one suite, one init and one trial"
        )
    if not path.is_file():
        raise UsageError(
            f"--eval-only {path}: no such file; expected a fine-tuned model, as {MODEL} of a cell"
        )
    sha256 = file_sha256(path)
    told: Evaluated = {"model": path.name, "sha256": sha256, "trained_by": ""}
    return [_evaluation(cell, path, told, sha256) for cell in cells[:1]]


def _of_cells(cells: Sequence[Cell], output: Path) -> Iterator[Cell]:
    places = cell_directories(output)
    for cell in cells:
        whole = {name: value for name, value in cell.identity.items() if name != "limit"}
        trained = record_id(whole)
        record = find_record(output, cell.suite.name, trained)
        path = places.get((cell.suite.name, trained), output) / MODEL
        if record is None or record["status"] != "finished" or not path.is_file():
            raise UsageError(
                f"--eval-only: {cell.suite.name}, {cell.init.label}, seed {cell.seed} has no finished cell "
                f"with its {MODEL} in {output}; fine-tune it first, by the same command without --eval-only, "
                "or give the file: --eval-only FILE"
            )
        told: Evaluated = {"model": path.name, "sha256": file_sha256(path), "trained_by": trained}
        yield _evaluation(cell, path, told, OWN)


def _evaluation(cell: Cell, path: Path, told: Evaluated, known_as: str) -> Cell:
    what = f"the model of cell {told['trained_by']}" if told["trained_by"] else f"the file {told['model']}"
    return replace(
        cell,
        identity=cell.identity | {"evaluates": known_as},
        not_comparable_because=[*cell.not_comparable_because, REASON.format(what)],
        evaluated=told,
        model=path,
    )
