"""Trials of a row over pre-trainings that were finished before: of other files, of another row, of it."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from benchmarks.errors import UsageError
from benchmarks.launch.job_file import open_record, write_job
from benchmarks.planning.cells import Cell, make_cells
from benchmarks.planning.dry_run import show_plan
from benchmarks.planning.evaluation import evaluations
from benchmarks.planning.forecast import print_forecast
from benchmarks.planning.foresight import foresee
from benchmarks.planning.inits import open_inits
from benchmarks.planning.request import Request
from benchmarks.planning.retrained import refuse_retrained
from benchmarks.planning.suite import load_suite
from results.store import load_records, save_record
from results.tables.trials import group_trials
from tests.benchmarks.fake_process import finished
from tests.conftest import narrow_backbone_file


def _cells(text: str, request: Request) -> list[Cell]:
    seeds = range(request.seed, request.seed + (request.trials or 1))
    return make_cells(load_suite("voc_c4"), open_inits([text], seeds=seeds), request)


def _save(cells: list[Cell], request: Request, **more: Any) -> list[str]:
    for cell in cells:
        save_record(finished({**open_record(cell, request, None)}) | more, request.output)
    return [cell.id for cell in cells]


@pytest.fixture
def text(seed_files: Path) -> str:
    return f"moco={seed_files}/moco_s{{seed}}/last.pkl"


def test_a_file_that_was_trained_anew_is_refused_before_anything_runs(
    text: str, seed_files: Path, request_of: Request, capsys: pytest.CaptureFixture[str]
) -> None:
    before = _cells(text, request_of)
    _save(before, request_of)
    refuse_retrained(_cells(text, request_of), request_of.output)
    narrow_backbone_file(seed_files / "moco_s1" / "last.pkl", 7)
    anew = _cells(text, request_of)
    hashes = [cell.identity["backbone_sha256"][:8] for cell in (before[1], anew[1])]
    with pytest.raises(UsageError) as error:
        refuse_retrained(anew, request_of.output)
    assert str(error.value) == (
        f"voc_c4, moco: with what is finished in {request_of.output} its files are no one set of "
        f"pre-trainings: seed 1 was run with two files (weights {hashes[0]} and {hashes[1]}); choose another "
        "--output for the new set"
    )
    draft = foresee(load_suite("voc_c4"), request_of)
    with pytest.raises(UsageError, match="choose another --output"):
        show_plan([draft], open_inits([text], seeds=[0, 1]), None, "cpu")
    refuse_retrained(anew, request_of.output / "another")


def test_a_failed_trial_of_the_old_file_is_no_reason(
    text: str, seed_files: Path, request_of: Request
) -> None:
    _save(_cells(text, request_of), request_of, status="failed", error="weights are NaN")
    narrow_backbone_file(seed_files / "moco_s1" / "last.pkl", 7)
    refuse_retrained(_cells(text, request_of), request_of.output)


def test_seeds_that_follow_join_the_row_unless_their_network_is_another(
    text: str, seed_files: Path, request_of: Request
) -> None:
    one = dataclasses.replace(request_of, trials=1)
    _save(_cells(text, one), one)
    later = dataclasses.replace(one, seed=1)
    _save(_cells(text, later), later)
    (row,) = group_trials(load_records(one.output))["voc_c4"]
    assert sorted(row.files) == [0, 1]
    refuse_retrained(_cells(text, request_of), request_of.output)
    source = seed_files / "moco_s0" / "last.pkl"
    (seed_files / "moco_s2").mkdir()
    (seed_files / "moco_s2" / "last.pkl").write_bytes(source.read_bytes())
    with pytest.raises(UsageError, match="seeds 0 and 2 have the same weights"):
        refuse_retrained(_cells(text, dataclasses.replace(one, seed=2)), one.output)


def test_a_cell_of_a_plain_row_stays_there_and_the_plan_says_so(
    text: str, seed_files: Path, request_of: Request, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is the same cell: nothing is computed twice, and no record is moved to another row."""
    cells = _cells(text, request_of)
    plain = _cells(f"first={seed_files}/moco_s0/last.pkl", request_of)[:1]
    assert _save(plain, request_of) == [cells[0].id]
    known = {cells[0].id: "finished", cells[1].id: "new"}
    print_forecast(cells, known, cells[1:], request_of, None, 1)
    told = "seed 0 was finished as a trial of the row first of one file and stays there"
    assert f"  voc_c4, moco, {told}; --rerun makes it one of this row" in capsys.readouterr().err.splitlines()
    folders = [write_job(cell, request_of, "cpu", rerun=True).path.parent for cell in (*plain, cells[0])]
    assert folders[0] == folders[1], "one cell has one folder, or its files would not be those of its record"
    _save(cells[:1], request_of)  # as --rerun does
    print_forecast(cells, known, cells[1:], request_of, None, 1)
    assert "was finished" not in capsys.readouterr().err
    print_forecast(plain, known, [], request_of, None, 1)
    told = "seed 0 was finished as a trial of the row moco over pre-trainings and stays there"
    assert f"voc_c4, first, {told}" in capsys.readouterr().err


def test_the_models_of_its_cells_are_evaluated_again_one_by_one(text: str, request_of: Request) -> None:
    again = dataclasses.replace(request_of, evaluate="")
    cells = _cells(text, request_of)
    for cell in cells:
        folder = request_of.output / "cells" / "voc_c4" / f"moco-{cell.id}"
        folder.mkdir(parents=True)
        (folder / "model_final.pth").write_bytes(b"model of " + cell.id.encode())
    _save(cells, request_of)
    found = evaluations(_cells(text, again), again)
    assert [one.evaluated and one.evaluated["trained_by"] for one in found] == [cell.id for cell in cells]
    records = [finished({**open_record(one, again, None)}) for one in found]
    (row,) = group_trials(records)["voc_c4"]  # type: ignore[arg-type]
    assert sorted(row.files) == [0, 1]


def test_a_dry_run_lists_its_trials(
    text: str, request_of: Request, capsys: pytest.CaptureFixture[str]
) -> None:
    draft = foresee(load_suite("voc_c4"), request_of)
    show_plan([draft], open_inits([text], seeds=[0, 1]), None, "cpu")
    said = capsys.readouterr().out.splitlines()
    for cell in _cells(text, request_of):
        assert f"cell {cell.id} voc_c4, moco, seed {cell.seed}: new, would run" in said
