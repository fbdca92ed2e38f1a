"""Plans `--eval-only`: cells that train nothing and evaluate a model which is there already."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.errors import UsageError
from benchmarks.planning.cells import Cell
from benchmarks.planning.download import file_sha256
from benchmarks.planning.labelled import is_probe
from benchmarks.planning.own_weights import read_weights
from benchmarks.planning.request import Request
from results.record import Evaluated, record_id
from results.run_files import cell_directories
from results.store import find_record, load_records
from transfer.recipes.resolve import unflatten

MODEL = "model_final.pth"
OWN = "the cell's own model"  # in an identity, so that the trials of a row stay one row
REASON = "evaluated only: {}, by --eval-only"


def evaluations(cells: Sequence[Cell], request: Request) -> list[Cell]:
    """The cells as evaluations; all but theirs of a model, data and metric stays as it was planned.

    Without a file each evaluates the model of the finished cell that it would be. UsageError where there is
    none, where one file is to be several cells, and for probes, which fine-tune nothing; CheckpointError or
    TransferError where the file is no model, or another's.
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
    _check_fits(cells[0], path)
    sha256 = file_sha256(path)
    told: Evaluated = {"model": path.name, "sha256": sha256, "trained_by": ""}
    return [_evaluation(cell, path, told, sha256) for cell in cells[:1]]


def _check_fits(cell: Cell, path: Path) -> None:
    """Refuses a file that is not the model of the cell, as CheckpointError or TransferError.

    Torch takes seconds to import, so it is not before a file is given. A plan runs no code of a user's, so a
    model with that is built by its cell alone.
    """
    weights = read_weights(path)
    if cell.init.code:
        return
    import torch

    from transfer.engines.choose import load_engine
    from transfer.training.load_model import check_model

    engine, nowhere = load_engine("torchvision"), torch.device("meta")
    with nowhere:
        check_model(engine.state(engine.build(unflatten(cell.recipe), nowhere)), weights)


def _of_cells(cells: Sequence[Cell], output: Path) -> Iterator[Cell]:
    places = cell_directories(output)
    limited = {
        _trained_as(record["identity"]): record["id"]
        for record in load_records(output, problems=[])
        if record.get("truncated") and record["status"] == "finished"
    }
    for cell in cells:
        whole = _trained_as(cell.identity)
        record = find_record(output, cell.suite.name, whole)
        there = record is not None and record["status"] == "finished"
        trained = whole if there else limited.get(whole, "")
        folder = places.get((cell.suite.name, trained))
        if folder is None or not (path := folder / MODEL).is_file():
            raise UsageError(
                f"--eval-only: {cell.suite.name}, {cell.init.label}, seed {cell.seed} has no finished cell "
                f"with its {MODEL} in {output}; fine-tune it first, by the same command without --eval-only, "
                "or give the file: --eval-only FILE"
            )
        told: Evaluated = {"model": path.name, "sha256": file_sha256(path), "trained_by": trained}
        yield _evaluation(cell, path, told, OWN)


def _trained_as(identity: Mapping[str, Any]) -> str:
    """The id of the cell on the whole test set, whose training is the same."""
    return record_id({name: value for name, value in identity.items() if name != "limit"})


def _evaluation(cell: Cell, path: Path, told: Evaluated, known_as: str) -> Cell:
    what = f"the model of cell {told['trained_by']}" if told["trained_by"] else f"the file {told['model']}"
    return replace(
        cell,
        identity=cell.identity | {"evaluates": known_as},
        not_comparable_because=[*cell.not_comparable_because, REASON.format(what)],
        evaluated=told,
        model=path,
    )
