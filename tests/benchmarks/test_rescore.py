"""Every number of a bundle again, by every evaluator: equal where nothing was changed, else told."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.rescore import main
from results.bundle.publish import publish
from results.bundle.pull import pull
from results.record import flat_metrics
from results.run_files import vouched_per_image
from results.store import load_records, save_record
from tests.benchmarks.command_line import miniature
from tests.conftest import TINY_KEYS, Run
from tests.results.conftest import build_record
from tests.transfer.evaluation import scenes
from transfer.evaluation.evaluate import evaluate, outcomes, write_predictions
from transfer.evaluation.per_image import FILE, Outcomes, save_outcomes
from transfer.evaluation.scores import json_ready

WITH_IMAGES = ("voc", "coco", "keypoints", "voc_semantic")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a data root of each task."""
    return tmp_path_factory.mktemp("data")


def cell_of(task: str, data: Path, runs: Path) -> Path:
    """A finished cell with the predictions of a spoilt truth; returns its folder."""
    dataset = scenes.load(task, data)
    predictions = scenes.spoil(dataset, scenes.truth(dataset), 0)
    metrics = json_ready(evaluate(dataset, predictions).summary)
    record = build_record(suite=task, metrics=metrics)
    record["data"]["test"] = {"name": scenes.VAL[task], **dataset.summary}
    cell = runs / "cells" / task / f"moco-{record['id']}"
    write_predictions(dataset, predictions, cell / "predictions")
    kept = outcomes(dataset, predictions)
    if kept is not None:
        save_outcomes(kept, cell / FILE)
    save_record(record | vouched_per_image(cell), runs)
    return cell


@pytest.mark.parametrize("task", [task for task in scenes.VAL if task != "lvis_v0.5"])
def test_every_evaluator_gives_the_numbers_of_the_record(
    task: str, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cell = cell_of(task, data, tmp_path / "runs")
    list(publish(tmp_path / "runs", tmp_path / "bundle.tar.gz"))
    (record,) = load_records(tmp_path / "runs")
    words = ["--data-root", str(data / task)]
    assert main([str(tmp_path / "bundle.tar.gz"), *words]) == 0
    printed = capsys.readouterr().out
    numbers = len(flat_metrics(record))
    assert f"{numbers} numbers equal, from predictions (largest difference " in printed
    assert printed.endswith(f"1 records: {numbers} numbers equal, 0 others, 0 not computed again\n")
    assert (cell / FILE).exists() == (task in WITH_IMAGES)
    # a number that somebody thought better, with a journal of his own
    (tmp_path / "runs" / "journal.jsonl").unlink()
    group, name = record["primary"].split("/")
    record["metrics"][group][name] = 99.0
    save_record(record, tmp_path / "runs")
    assert main([str(tmp_path / "runs"), *words]) == 1
    assert f"OTHER: {record['primary']} is 99.000000 in the record, " in capsys.readouterr().out


def test_what_cannot_be_computed_again_is_listed(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without the data, what is kept by image gives the numbers; without that, too, nothing does."""
    cell = cell_of("voc", data, tmp_path / "runs")
    assert main([str(tmp_path / "runs"), "--data-root", str(tmp_path / "none")]) == 0
    assert "3 numbers equal, from per_image.npz" in capsys.readouterr().out
    (cell / FILE).unlink()
    assert main([str(tmp_path / "runs"), "--data-root", str(tmp_path / "none")]) == 1, "nothing is equal"
    printed = capsys.readouterr().out
    assert "not computed again: bbox/AP, bbox/AP50, bbox/AP75: data root " in printed
    assert "0 numbers equal, 0 others, 3 not computed again" in printed
    (record,) = load_records(tmp_path / "runs")
    record["data"]["test"]["sha256"] = "0" * 64
    save_record(record, tmp_path / "runs")
    assert main([str(tmp_path / "runs"), "--data-root", str(data / "voc")]) == 1
    assert "is not the one that it was tested on (SHA-256)" in capsys.readouterr().out
    save_record(build_record(status="failed", suite="other"), tmp_path / "runs")
    shutil.rmtree(cell / "predictions")
    assert main([str(tmp_path / "runs")]) == 1
    printed = capsys.readouterr().out
    assert "no predictions are kept; no per_image.npz" in printed
    assert "not computed again: all: the record is failed" in printed


def falsified(runs: Path) -> None:
    """Puts a better number into the only record."""
    (path,) = (runs / "records").rglob("*.json")
    record = json.loads(path.read_text())
    record["metrics"]["bbox"]["AP50"] = 99.0
    path.write_text(json.dumps(record))


def test_doubted_records_are_computed_too(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without its journal a falsified bundle verifies; its numbers do not come out."""
    cell_of("voc", data, tmp_path / "runs")
    words = ["--data-root", str(data / "voc")]
    falsified(tmp_path / "runs")
    assert main([str(tmp_path / "runs"), *words]) == 1
    assert "OTHER: the record was changed after it was written\n" in capsys.readouterr().out
    (tmp_path / "runs" / "journal.jsonl").unlink()
    list(publish(tmp_path / "runs", tmp_path / "bundle"))
    assert main([str(tmp_path / "bundle"), *words]) == 1
    printed = capsys.readouterr().out
    assert "note: the record is not in the journal" in printed
    assert "OTHER: bbox/AP50 is 99.000000 in the record, " in printed
    assert "2 numbers equal, 2 others" in printed, "by predictions and by per_image.npz"


def test_broken_predictions_are_a_line(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    cell = cell_of("voc", data, tmp_path / "runs")

    def broken(*_: object) -> None:
        raise RecursionError("too\ndeep")

    monkeypatch.setattr("transfer.evaluation.evaluate.read_predictions", broken)
    (cell / FILE).unlink()
    assert main([str(tmp_path / "runs"), "--data-root", str(data / "voc")]) == 1
    assert "/predictions: RecursionError: too deep; no per_image.npz\n" in capsys.readouterr().out


def test_a_pipe_that_closes_is_left_to_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def closed(_: object) -> None:
        raise BrokenPipeError

    save_record(build_record(), tmp_path)
    monkeypatch.setattr("benchmarks.rescore._printed", closed)
    with pytest.raises(BrokenPipeError):
        main([str(tmp_path)])


def test_probes_are_computed_from_what_is_kept_by_image(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Labels and predictions, or what was right, stand for predictions; another number is told apart."""
    labels = np.array([0, 0, 1, 1])
    arrays = {
        "x.label": labels,
        "x.predicted": np.array([0, 1, 1, 1]),
        "x.score": np.ones(4),
        "r.value": labels / 2,
    }
    metrics = {"knn/top1": {"kind": "right", "of": "x"}, "retrieval/mAP": {"kind": "mean", "of": "r"}}
    for trial, top1 in enumerate((75.0, 76.0)):
        numbers: dict[str, Any] = {"knn": {"top1": top1, "k": 20.0}, "retrieval": {"mAP": 25.0}}
        record = build_record(trial=trial, suite="knn_mine", metrics=numbers)
        cell = tmp_path / "cells" / "knn_mine" / f"moco-{record['id']}"
        cell.mkdir(parents=True)
        save_outcomes(Outcomes(list("abcd"), metrics, arrays), cell / FILE)
        save_record(record | vouched_per_image(cell), tmp_path)
    assert main([str(tmp_path)]) == 1
    printed = capsys.readouterr().out
    assert "trial 0" in printed
    assert "2 numbers equal, from per_image.npz" in printed
    assert "OTHER: knn/top1 is 76.000000 in the record, 75.000000 by per_image.npz" in printed
    assert printed.count("not computed again: knn/k: no predictions are kept") == 2
    assert printed.endswith("2 records: 3 numbers equal, 1 others, 2 not computed again\n")


def test_a_real_cell_is_published_pulled_and_scored_elsewhere(
    devkit: Path, narrow_backbone: Path, tmp_path: Path, benchmark: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    """A miniature of the embedded engine: run, bundle, another directory, another place of the data."""
    words = miniature(f"moco={narrow_backbone}", data_root=devkit, output=tmp_path / "runs")
    done = benchmark(*words, *TINY_KEYS)
    assert done.returncode == 0, done.stderr
    list(publish(tmp_path / "runs", tmp_path / "bundle.zip"))
    list(pull(tmp_path / "bundle.zip", tmp_path / "theirs"))
    shutil.copytree(devkit, tmp_path / "data")
    assert main([str(tmp_path / "theirs"), "--data-root", str(tmp_path / "data")]) == 0
    assert "1 records: 3 numbers equal, 0 others, 0 not computed again" in capsys.readouterr().out
    assert json.loads((tmp_path / "theirs" / "pulled.jsonl").read_text())["from"] == "bundle.zip"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["nowhere"], "no such bundle"),
        (["."], "no records in"),
        ([".", "--sha256", "0"], "is not a bundle, so it has no hash over all"),
        ([".", "--suite", "no_such.yaml"], "no_such.yaml"),
    ],
)
def test_bad_input_is_one_line(
    words: list[str],
    says: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(words) == 2
    error = capsys.readouterr().err
    assert says in error
    assert error.count("\n") == 1
