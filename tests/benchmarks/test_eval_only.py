"""Cells of a few test images, and cells that train nothing: what they record, and what stands in no mean."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmarks.planning.download import file_sha256
from benchmarks.planning.evaluation import MODEL, OWN
from benchmarks.rescore import rescore
from results.images.file import read_outcomes
from results.record import record_id
from results.store import load_records, save_record
from results.tables.trials import group_trials
from tests.conftest import NARROW_KEYS, TINY_KEYS, Run
from transfer.datasets.synthetic.dial import draw_image_set

GRID = ("--suite", "voc_c4", "--smoke", "--device", "cpu", "--init", "random")
KEYS = (*NARROW_KEYS, *TINY_KEYS, "SOLVER.MAX_ITER", "3", "MODEL.ROI_HEADS.SCORE_THRESH_TEST", "0.0")
PROBE = """\
name: mine
recipe: {_BASE_: knn, FEATURES.RESIZE: 48, FEATURES.CROP: 48, PROBE.NEIGHBOURS: [3]}
datasets:
  textures: {format: labelled, folder: textures}
primary: knn/top1
"""


def _folder(output: Path, record: dict[str, Any]) -> Path:
    (found,) = output.glob(f"cells/*/*-{record['id']}")
    return found


def _predicted(folder: Path) -> dict[str, str]:
    files = sorted((folder / "predictions").rglob("*.txt"))
    assert files
    return {path.name: path.read_text() for path in files}


@pytest.fixture(scope="module")
def finished(devkit: Path, tmp_path_factory: pytest.TempPathFactory, benchmark: Run) -> Path:
    """The output folder of a finished cell."""
    output = tmp_path_factory.mktemp("finished")
    done = benchmark(*GRID, "--data-root", devkit, "--output", output, "--trials", "1", *KEYS)
    assert done.returncode == 0, done.stderr
    return output


def test_a_model_is_evaluated_again_and_on_fewer_images(devkit: Path, finished: Path, benchmark: Run) -> None:
    output = finished
    words = (*GRID, "--data-root", devkit, "--output", output, "--trials", "1")
    for more in (("--eval-only",), ("--eval-only", "--limit", "2")):
        done = benchmark(*words, *more, *KEYS)
        assert done.returncode == 0, done.stderr
    records: dict[Any, Any] = {
        (bool(record.get("evaluated")), bool(record.get("truncated"))): record
        for record in load_records(output)
    }
    trained, again, fewer = (records[key] for key in ((False, False), (True, False), (True, True)))
    assert _predicted(_folder(output, again)) == _predicted(_folder(output, trained))
    assert again["metrics"] == trained["metrics"]
    assert again["evaluated"]["trained_by"] == fewer["evaluated"]["trained_by"] == trained["id"]
    assert again["identity"] == trained["identity"] | {"evaluates": OWN}
    assert not (_folder(output, again) / "log.jsonl").exists(), "nothing was trained"
    assert "train" not in again["durations_s"]
    assert (fewer["truncated"]["images"], fewer["truncated"]["of"], fewer["identity"]["limit"]) == (2, 4, 2)
    whole = {
        line.split()[0] for text in _predicted(_folder(output, again)).values() for line in text.splitlines()
    }
    some = {
        line.split()[0] for text in _predicted(_folder(output, fewer)).values() for line in text.splitlines()
    }
    assert (len(some), len(whole)) == (2, 4)
    told = " ".join(done.stdout.split())  # a narrow terminal wraps it
    assert "truncated: 2 of 4 test images, by --limit" in told
    assert f"evaluated only: the model of cell {trained['id']}, by --eval-only" in told
    rows = group_trials(load_records(output))["voc_c4"]
    assert [len(row.records) for row in rows] == [1, 1, 1], "no mean has two of them"
    for scored in rescore(output, devkit, {}):
        assert scored.equal, scored
        assert not scored.others, scored


def test_the_model_of_a_cell_of_few_images_is_evaluated_and_anew_once_it_changed(
    devkit: Path, finished: Path, tmp_path: Path, benchmark: Run
) -> None:
    output = tmp_path / "cut"
    shutil.copytree(finished, output)
    (path,) = (one for one in output.glob("records/*/*.json") if "evaluates" not in one.read_text())
    record = json.loads(path.read_text())
    identity = record["identity"] | {"limit": 2}
    cut = {"images": 2, "of": 4, "rule": "r"}
    limited = {"identity": identity, "id": record_id(identity), "truncated": cut}
    folder = _folder(output, record)
    shutil.rmtree(output / "records")
    save_record(record | limited, output)
    folder = folder.rename(folder.with_name(f"random-{record_id(identity)}"))
    words = (*GRID, "--data-root", devkit, "--output", output, "--trials", "1", "--eval-only", *KEYS)
    found = []
    for change in (0.0, 1.0):
        model = torch.load(folder / MODEL)
        model["model"]["roi_heads.box_predictor.cls_score.bias"] += change
        torch.save(model, folder / MODEL)
        done = benchmark(*words)
        assert done.returncode == 0, done.stderr
        (path,) = (one for one in output.glob("records/*/*.json") if "evaluates" in one.read_text())
        found.append(json.loads(path.read_text()))
        assert found[-1]["evaluated"]["trained_by"] == record_id(identity)
        assert found[-1]["evaluated"]["sha256"] == file_sha256(folder / MODEL)
    assert found[0]["id"] == found[1]["id"]
    assert found[0]["status"] == found[1]["status"] == "finished"


def test_a_file_is_evaluated(devkit: Path, finished: Path, tmp_path: Path, benchmark: Run) -> None:
    words = (*GRID, "--data-root", devkit, "--trials", "1")
    (model,) = finished.glob(f"cells/*/*/{MODEL}")
    other = tmp_path / "other"
    done = benchmark(*words, "--output", other, "--eval-only", model, *KEYS)
    assert done.returncode == 0, done.stderr
    (record,) = load_records(other)
    assert record["evaluated"] is not None
    assert record["identity"]["evaluates"] == record["evaluated"]["sha256"]
    assert record["evaluated"]["trained_by"] == ""
    assert _predicted(next(other.glob("cells/*/*"))) == _predicted(model.parent)
    done = benchmark(*words, "--output", other, "--eval-only", model, *KEYS, "MODEL.RESNETS.DEPTH", "101")
    assert done.returncode == 2
    assert "--eval-only: the file is not the model of this recipe: missing backbone" in done.stderr
    assert len(load_records(other)) == 1, "it is refused when it is planned"


def test_a_probe_is_scored_on_fewer_images(tmp_path: Path, benchmark: Run) -> None:
    draw_image_set(tmp_path / "textures", 0.8, classes=3, train=6, test=4)
    (tmp_path / "mine.yaml").write_text(PROBE)
    output = tmp_path / "out"
    words = (
        "--suite",
        tmp_path / "mine.yaml",
        "--init",
        "random:resnet18,stem_out_channels=8,res2_out_channels=8",
    )
    for limit in ("5", "99"):
        done = benchmark(*words, "--output", output, "--device", "cpu", "--trials", "1", "--limit", limit)
        assert done.returncode == 0, done.stderr
    cut, whole = sorted(load_records(output), key=lambda record: not record.get("truncated"))
    assert cut["truncated"] is not None
    assert (cut["truncated"]["images"], cut["truncated"]["of"]) == (5, 12)
    assert "limit" not in whole["identity"], "a set that has no more is not truncated"
    kept = read_outcomes(_folder(output, dict(cut)) / "per_image.npz", (cut["per_image"] or {})["sha256"])
    assert len(kept.ids) == 5
    assert len(group_trials(load_records(output))["mine"]) == 2
    assert "truncated: 5 of 12 test images" in done.stdout


def test_what_cannot_be_evaluated_is_refused(
    devkit: Path, tmp_path: Path, refuse: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    here = (*GRID, "--data-root", devkit)
    refuse(
        *here, "--eval-only", message="voc_c4, random, seed 0 has no finished cell with its model_final.pth"
    )
    refuse(*here, "--eval-only", tmp_path / "no.pth", message="no.pth: no such file; expected a fine-tuned")
    (tmp_path / "text.pth").write_text("no model")
    refuse(*here, "--eval-only", tmp_path / "text.pth", message="text.pth: ")
    refuse(*here, "--eval-only", "x.pth", "--trials", "2", message="one file is one trial of one row")
    refuse(*here, "--eval-only", "--tune", "3", message="leave --limit and --eval-only out")
    draw_image_set(tmp_path / "textures", 0.8, classes=3, train=6, test=4)
    (tmp_path / "mine.yaml").write_text(PROBE)
    probe = ("--suite", tmp_path / "mine.yaml", "--init", "random", "--device", "cpu", "--eval-only")
    refuse(*probe, message="mine fine-tunes no model; leave --eval-only out")


def test_a_record_of_before_has_neither(devkit: Path, tmp_path: Path, refuse: Callable[..., None]) -> None:
    """The dry run says what will be, and no other identity moves."""
    from benchmarks.planning.cells import make_cells
    from benchmarks.planning.inits import Init
    from benchmarks.planning.request import Request
    from benchmarks.planning.suite import load_suite

    request = Request(1, 0, "torchvision", True, False, devkit, 1, [], tmp_path)
    (cell,) = make_cells(load_suite("voc_c4"), [Init("random", None)], request)
    assert not {"limit", "evaluates"} & cell.identity.keys()
    assert json.loads(json.dumps(cell.test.summary)).get("truncated") is None
