"""Rows of one trial: intervals and stars over images where they are kept, and a line where they are not."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from results.__main__ import main
from results.images.compared import outcomes
from results.images.signs import mcnemar
from results.reading import read_groups
from results.store import save_record
from results.tables import compared
from results.tables.compared import image_notes, row_difference, row_interval
from results.tables.significance import summarize
from results.tables.trials import group_trials
from results.verify import verify
from tests.results.printed import read_markdown
from transfer.evaluation.per_image import Outcomes, save_outcomes

N = 1000
TOP1 = {"logreg/top1": {"kind": "right", "of": "logreg"}}


def right(init: str) -> np.ndarray:
    """Which images a row gets right: 700 of them, 60 more or 5 more."""
    made = np.arange(N) < 700
    return made | (np.arange(N) >= N - {"supervised": 0, "better": 60, "alike": 5}[init])


def save_cell(root: Path, make_record: Any, init: str, kept: bool = True, **more: Any) -> dict[str, Any]:
    predicted = right(init)
    record = make_record(init, metrics={"logreg": {"top1": 100 * predicted.mean()}}, suite="dtd", **more)
    if kept:
        cell = root / "cells" / "dtd" / f"{init}-{record['id']}"
        cell.mkdir(parents=True)
        arrays = {"logreg.label": np.ones(N, int), "logreg.predicted": predicted.astype(int)}
        save_outcomes(Outcomes(range(N), TOP1, arrays), cell / "per_image.npz")
        content = (cell / "per_image.npz").read_bytes()
        record["per_image"] = {"sha256": hashlib.sha256(content).hexdigest(), "images": N}
    save_record(record, root)
    return record


@pytest.fixture
def root(tmp_path: Path, make_record: Any) -> Path:
    for init in ("supervised", "better", "alike"):
        save_cell(tmp_path, make_record, init)
    return tmp_path


def table(root: Path, capsys: Any, *more: str) -> Any:
    assert main(["table", str(root), "--format", "md", "--no-published", *more]) == 0
    (found,) = read_markdown(capsys.readouterr().out)
    return found


def test_single_trials_are_tested_over_images(root: Path, capsys: Any) -> None:
    found = table(root, capsys)
    p = mcnemar(60, 0)[0], mcnemar(5, 0)[0]
    assert 2 * p[0] < 0.01 < 0.05 < p[1]
    better, alike = (found.row(init)["logreg/top1"] for init in ("better", "alike"))
    assert better.startswith("76.0 [7")
    assert better.endswith("] (1) [+6.0**]")
    assert alike.endswith("] (1) [+0.5 ns]")
    said = "\n".join(found.notes)
    assert "tests, two-sided: McNemar's exact test over 1000 images (alike sees " in said
    assert "on the same images" in said
    assert "one trial over test images (bootstrap), of images and not of seeds" in said
    assert "sees: the smallest gap" in said


def test_what_is_not_kept_is_said_and_claims_nothing(tmp_path: Path, make_record: Any, capsys: Any) -> None:
    save_cell(tmp_path, make_record, "supervised")
    save_cell(tmp_path, make_record, "better", kept=False)
    found = table(tmp_path, capsys)
    assert found.row("better")["logreg/top1"] == "76.0 (1) [+6.0]"
    assert found.row("supervised")["logreg/top1"].startswith("70.0 [6"), "its interval needs no other row"
    assert "one trial and no per_image.npz beside its record: no interval, no test: better" in found.notes
    assert not any(note.startswith("tests, two-sided") for note in found.notes)
    rows = {row.init: row for row in read_groups(tmp_path)["dtd"]}
    assert row_interval(rows["better"], "logreg/top1") is None


def test_queries_that_are_each_others_database_are_no_sample(
    tmp_path: Path, make_record: Any, capsys: Any
) -> None:
    """Whatever a file holds: 29 % of equally good features would be told apart."""
    for init, share in (("supervised", 0.5), ("better", 0.75)):
        made = make_record(init, metrics={"retrieval": {"mAP": 100 * share}}, suite="same")
        cell = tmp_path / "cells" / "same" / f"{init}-{made['id']}"
        cell.mkdir(parents=True)
        kinds = {"retrieval/mAP": {"kind": "mean", "of": "retrieval"}}
        values = np.where(np.arange(N) % 2, share + 0.2, share - 0.2)
        kept = Outcomes(range(N), kinds, {"retrieval.value": values}, "query")
        save_outcomes(kept, cell / "per_image.npz")
        content = (cell / "per_image.npz").read_bytes()
        save_record(
            made | {"per_image": {"sha256": hashlib.sha256(content).hexdigest(), "images": N}}, tmp_path
        )
    found = table(tmp_path, capsys)
    assert found.row("better")["retrieval/mAP"] == "75.0 (1) [+25.0]"
    note = (
        "no interval, no test of retrieval/mAP: its queries are each other's database, so they are no sample"
    )
    assert note in found.notes
    assert not any("tests, two-sided" in said for said in found.notes)


def test_a_lost_and_an_altered_file(root: Path, capsys: Any) -> None:
    files = {path.parent.name.split("-")[0]: path for path in root.glob("cells/dtd/*/per_image.npz")}
    files["better"].unlink()
    found = table(root, capsys)
    assert found.row("better")["logreg/top1"] == "76.0 (1) [+6.0]"
    assert "one trial and no per_image.npz beside its record: no interval, no test: better" in found.notes
    assert [note for note in verify(root).notes if "per_image.npz is not here" in note]
    files["alike"].write_bytes(files["alike"].read_bytes() + b"x")
    (problem,) = verify(root).problems
    assert problem.startswith(files["alike"].parent.name)
    assert "its bytes are not those that the record names" in problem
    outcomes.cache_clear()  # a command reads each file once
    found = table(root, capsys)
    assert found.row("alike")["logreg/top1"] == "70.5 (1) [+0.5]"
    assert any(note.startswith("no interval over images: ") for note in found.notes)


def test_minutes_are_spent_on_request(root: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compared, "MANY", -1)
    found = table(root, capsys)
    assert found.row("better")["logreg/top1"] == "76.0 (1) [+6.0]"
    assert any("add --images: supervised, alike, better" in note for note in found.notes)
    assert "**" in table(root, capsys, "--images").row("better")["logreg/top1"]


def test_two_rows_by_name(root: Path, capsys: Any) -> None:
    assert main(["compare", str(root), "--rows", "better", "supervised"]) == 0
    line, *notes = capsys.readouterr().out.splitlines()
    assert line.startswith("dtd: better - supervised: logreg/top1 +6.0 [+4.")
    assert "McNemar's exact test over 1000 images p < 0.0001, mid-p < 0.0001, sees gaps from " in line
    assert any("of images and not of seeds" in note for note in notes)


def test_several_trials_stay_paired_by_seed(root: Path, make_record: Any) -> None:
    for trial in (1, 2):
        for init in ("supervised", "better"):
            save_cell(root, make_record, init, trial=trial)
    rows = {row.init: row for row in read_groups(root)["dtd"]}
    assert rows["better"].summary("logreg/top1") == summarize([76.0] * 3)
    found = row_difference(rows["better"], rows["supervised"], "logreg/top1")
    assert (found.pairs, found.over) == (3, None)


def test_a_value_of_one_of_two_trials_is_no_single_trial(make_record: Any) -> None:
    """Such as the AP of large objects, which only one of them found."""
    records = [make_record("moco", 0, 5.0), make_record("moco", 1, None)]
    (row,) = group_trials(records, cells={("voc_c4", "0" * 16): Path("nowhere")})["voc_c4"]
    assert len(row.values("bbox/AP")) == 1
    assert image_notes([row], ["bbox/AP"], patient=True) == []


def test_merging_takes_them_along(root: Path, tmp_path: Path, capsys: Any) -> None:
    other = tmp_path / "other"
    assert main(["merge", str(other), str(root)]) == 0
    capsys.readouterr()
    assert table(other, capsys).row("better")["logreg/top1"].endswith("(1) [+6.0**]")
    assert verify(other).problems == []
