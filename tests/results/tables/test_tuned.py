"""Rows whose rate was tuned: what is said of them, what they are held against; candidates are no trials."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from results import __main__ as cli
from results.errors import RecordError
from results.schema import normalize
from results.store import save_record
from results.tables.trials import group_trials
from tests.results.printed import print_suite

PARTS = {"rule": "by name", "fit": [{"name": "voc_2007_trainval", "images": 30, "of": 40, "sha256": "f"}]}
SPLIT = PARTS | {"held_out": {"name": "voc_2007_trainval", "images": 10, "of": 40, "sha256": "h"}}
UNTUNED = "5" * 64


@pytest.fixture
def tuned(make_record: Any) -> Any:
    """The function that makes a record of a tuned trial."""

    def made(init: str, rate: float, budget: int = 3, at_edge: bool = False, **more: Any) -> dict[str, Any]:
        record = make_record(init, recipe_sha256=f"tuned to {rate}", tune=budget, **more)
        tried = [
            {"base_lr": rate / 2, "id": "1" * 16, "score": None},
            {"base_lr": rate, "id": "2" * 16, "score": 12.34},
        ]
        how = {"budget": budget, "base_lr": rate, "factor": 1.0, "at_edge": at_edge, "metric": "bbox/AP"}
        return record | {"tuned": how | {"candidates": tried, "split": SPLIT, "stands_for_sha256": UNTUNED}}

    return made


def test_a_candidate_stands_in_no_table(make_record: Any) -> None:
    candidate = make_record(trial=0, ap=99.0, seed=2**32 - 1, recipe_sha256="c")
    candidate["candidate"] = {"base_lr": 0.1, "factor": 1.0, "split": SPLIT}
    normalize(candidate)
    records = [make_record(trial=0, ap=50.0), candidate]
    assert [len(row.records) for row in group_trials(records)["voc_c4"]] == [1]
    assert print_suite(records, published=False).row("moco")["bbox/AP"] == "50.0 (1)"
    assert group_trials([candidate]) == {}


def test_the_footnote_of_a_tuned_row(tuned: Any) -> None:
    records = [tuned("moco", 0.02, at_edge=True, trial=t) for t in (0, 1)]
    table = print_suite(records, published=False)
    assert table.labels == ["moco (a)"]
    (note,) = [line for line in table.notes if line.startswith("(a)")]
    assert note == (
        "(a) tuned: SOLVER.BASE_LR 0.02, the best by bbox/AP of 3 (0.01: diverged, 0.02: 12.3) on 10 of the "
        "40 images of voc_2007_trainval, held out of training; no test image was seen; at the edge of the "
        "grid, so a wider one might do better"
    )
    inside = print_suite([tuned("moco", 0.02)], published=False)
    assert "edge" not in " ".join(inside.notes)


def test_rows_of_one_budget_are_compared_whatever_their_rates(tuned: Any) -> None:
    records = [tuned("supervised", 0.02, ap=50.0 + t, trial=t) for t in range(3)]
    records += [tuned("moco", 0.04, ap=60.0 + 0.9 * t, trial=t) for t in range(3)]
    table = print_suite(records, published=False)
    row = next(row for row in table.rows if row["init"].startswith("moco"))
    assert "[+9.9**]" in row["bbox/AP"]
    assert "budget" not in " ".join(table.notes)


def test_rows_of_different_budgets_are_marked_and_not_compared(tuned: Any, make_record: Any) -> None:
    records = [
        make_record("supervised", ap=50.0),
        tuned("moco", 0.04, ap=60.0),
        tuned("other", 0.04, budget=5),
    ]
    table = print_suite(records, published=False)
    marks = {
        row["init"].split(" ")[0]: row["init"].partition(" ")[2].strip("()").split() for row in table.rows
    }
    notes = {line[1 : line.index(")")]: line for line in table.notes if line.startswith("(")}
    said = {label: " ".join(notes[mark] for mark in of_row) for label, of_row in marks.items()}
    assert "different tuning budgets; this row's: none, it has the recipe's rate" in said["supervised"]
    assert "different tuning budgets; this row's: 3 candidate rates" in said["moco"]
    assert "different tuning budgets; this row's: 5 candidate rates" in said["other"]
    assert "not compared with supervised: different tuning budget" in said["moco"]
    assert "[" not in "".join(row["bbox/AP"] for row in table.rows)


def test_a_record_says_all_of_its_tuning_or_nothing(tuned: Any) -> None:
    record = tuned("moco", 0.02)
    assert normalize(record)["tuned"] == record["tuned"]
    del record["tuned"]["budget"]
    with pytest.raises(RecordError, match="tuned holds .*; expected budget, base_lr"):
        normalize(record)


def test_a_folder_of_candidates_alone_is_told(
    make_record: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    candidate = make_record() | {"candidate": {"base_lr": 0.1, "factor": 1.0, "split": SPLIT}}
    save_record(candidate, tmp_path)
    assert cli.main(["table", str(tmp_path)]) == 2
    assert "no trial in" in capsys.readouterr().err
