"""Suites that a user writes, on data that a user brings: checked line by line, and run as ours are."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from benchmarks.errors import UsageError
from benchmarks.planning.cells import make_cells
from benchmarks.planning.inits import Init
from benchmarks.planning.recipe import resolve
from benchmarks.planning.request import Request
from benchmarks.planning.suite import load_suite, load_suites, suite_names
from benchmarks.planning.suite_file import FIELDS, SUITES, read_suite
from benchmarks.run import main
from tests.benchmarks.command_line import QUICK_KEYS, miniature
from tests.benchmarks.own_kit import SUITE
from tests.conftest import Run
from transfer.datasets.registry import dataset_names
from transfer.errors import DataError
from transfer.recipes.resolve import load_recipe


def _request(output: Path, **changes: Any) -> Request:
    base = Request(None, 0, "torchvision", False, False, output, 1, [], output)
    return dataclasses.replace(base, **changes)


def test_ours_have_every_field_that_has_a_default() -> None:
    for path in SUITES.glob("*.yaml"):
        assert set(FIELDS) - {"datasets", "variants"} <= set(yaml.safe_load(path.read_text())), path


@pytest.mark.parametrize("name", suite_names())
def test_every_suite_is_whole(name: str) -> None:
    suite = load_suite(name)
    assert suite.name == name
    assert suite.primary in suite.metrics
    assert suite.smoke is not None
    assert "SOLVER.LAYER_DECAY" not in suite.smoke, "at the whole rate of a fresh head features are lost"
    for overrides in ([], list(suite.smoke.items())):
        cfg = load_recipe(suite.recipe, overrides)
        assert {*cfg.DATASETS.TRAIN, *cfg.DATASETS.TEST} <= set(dataset_names())


# what is changed in the text above -> what the error must say, behind the name of the file
MISTAKES = {
    "no name": ("name: my_cells\n", "", "name is missing; the fields are"),
    "typo": ("primary:", "primry:", r"primary is missing, primry is unknown \(did you mean primary\?\)"),
    "wrong type": ("name: my_cells", "name: [a]", r"name is \['a'\]; expected a text"),
    "name as path": ("name: my_cells", "name: a/b", "name is 'a/b'; letters, digits"),
    "trials": ("primary: bbox/AP50", "primary: bbox/AP50\ntrials: 0", "trials is 0; expected 1 to 1000"),
    "text for number": (
        "primary: bbox/AP50",
        "primary: bbox/AP50\ntrials: five",
        "trials is 'five'; expected",
    ),
    "no metric": ("bbox/AP50", "AP50", "'AP50' is no metric"),
    "not among": ("primary: bbox/AP50", "primary: bbox/AP50\nmetrics: [bbox/AP]", "is not among the metrics"),
    "no yaml": ("recipe:", "recipe: {", "line 4: expected ',' or '}', but got ':'"),
    "no base": ("  _BASE_: coco_c4_1x\n", "", "recipe has no _BASE_"),
    "unknown base": ("coco_c4_1x", "coco_c9", "coco_c9.yaml does not exist; nearest: coco_c4"),
    "unknown key": ("MAX_ITER", "MAX_ITERS", "recipe: unknown key SOLVER.MAX_ITERS; did you mean"),
    "wrong value": ("9000", "many", "recipe: SOLVER.MAX_ITER expects int"),
    "smoke": (
        "primary: bbox/AP50",
        "primary: bbox/AP50\nsmoke: {_BASE_: c5}",
        "smoke _BASE_ 'c5' does not exist",
    ),
    "no images": (
        ", images: images, tasks: [bbox]}\n  cells_val",
        "}\n  cells_val",
        "cells_train: images is missing",
    ),
    "data key": ("format: coco, json: val", "format: coco, jsn: x, json: val", "cells_val: jsn is unknown"),
    "format": (
        "format: coco, json: val",
        "format: yolo, json: val",
        "cells_val: format is 'yolo'; expected coco or voc",
    ),
    "path type": ("json: val.json", "json: 7", "cells_val: json is 7; expected a path"),
    "tasks": ("images, tasks: [bbox]}\nprimary", "images, tasks: [box]}\nprimary", "cells_val: tasks is"),
    "no mapping": (
        "{format: coco, json: val.json, images: images, tasks: [bbox]}",
        "val.json",
        "is 'val.json'; exp",
    ),
    "taken name": ("cells_val", "coco_2017_val", "coco_2017_val is the name of a public data set"),
    "not used": ("TEST: [cells_val]", "TEST: [cells_train]", "cells_val is not used; name it in"),
    "missing file": ("val.json", "absent.json", "absent.json is not a file; correct `json`"),
    "missing folder": (
        "json: val.json, images: images",
        "json: val.json, images: none",
        "none is not a folder",
    ),
    "masks": ("MASK_ON: false", "MASK_ON: true", "MODEL.MASK_ON is true, but its tasks are bbox; set"),
    "classes": ("  SOLVER.MAX", "  MODEL.ROI_HEADS.NUM_CLASSES: 4\n  SOLVER.MAX", "has 3 classes, .* is 4"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_one_line_with_file_and_key(
    mistake: str, own_data: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    before, after, message = MISTAKES[mistake]
    text = SUITE.replace(before, after)
    assert text != SUITE
    path = own_data / "changed.yaml"
    path.write_text(text)
    output = tmp_path / "runs"
    options = ["--suite", str(path), "--init", "random", "--engine", "torchvision", "--device", "cpu"]
    assert main([*options, "--output", str(output), "--data-root", str(tmp_path)]) == 2
    errors = [line for line in capsys.readouterr().err.splitlines() if not line.startswith("engine:")]
    assert len(errors) == 1
    assert errors[0].startswith("error: ")
    assert re.search(message, errors[0]), errors[0]
    names_data = mistake in ("unknown base", "missing file", "missing folder", "masks", "classes")
    assert names_data or "changed.yaml" in errors[0]
    assert not list(output.rglob("*.json"))


def test_missing_segmentations_name_the_way_out(own_data: Path, tmp_path: Path) -> None:
    path = own_data / "masks.yaml"
    path.write_text(SUITE.replace(", tasks: [bbox]", ""))
    with pytest.raises(DataError, match=r"segmentation: missing; a data set of boxes alone says so"):
        make_cells(read_suite(path), [Init("random", None)], _request(tmp_path))


def test_the_number_of_classes_comes_from_the_data(own_data: Path, tmp_path: Path) -> None:
    suite = read_suite(own_data / "my_suite.yaml")
    (cell,) = make_cells(suite, [Init("random", None)], _request(tmp_path))
    assert cell.recipe["MODEL.ROI_HEADS.NUM_CLASSES"] == 3
    assert cell.training[0].metadata["thing_classes"] == ["red", "round", "odd"]
    assert cell.not_comparable_because == []
    assert cell.suite.trials == 1
    assert cell.suite.metrics == ["bbox/AP50"]


def test_paths_do_not_move_the_identity_and_content_does(own_data: Path, tmp_path: Path) -> None:
    import shutil

    def identity(folder: Path) -> str:
        (cell,) = make_cells(read_suite(folder / "my_suite.yaml"), [Init("a", None)], _request(tmp_path))
        return cell.id

    copy = tmp_path / "copy"
    shutil.copytree(own_data, copy)
    assert identity(copy) == identity(own_data)
    (copy / "val.json").write_text((copy / "val.json").read_text().replace("720", "719", 1))
    assert identity(copy) != identity(own_data)


def test_a_recipe_file_of_the_user(own_data: Path, tmp_path: Path) -> None:
    """Beside the suite, on top of one of ours; what it says about the classes is believed, or refused."""
    (own_data / "recipe.yaml").write_text(
        "_BASE_: coco_c4_1x\nMODEL: {MASK_ON: false}\nSOLVER: {MAX_ITER: 7}\n"
    )
    lines = SUITE.replace("_BASE_: coco_c4_1x", "_BASE_: recipe.yaml").replace(
        "  SOLVER.MAX_ITER: 9000\n", ""
    )
    (own_data / "with_file.yaml").write_text(lines)
    suite = read_suite(own_data / "with_file.yaml")
    assert resolve(suite, _request(tmp_path), suite.recipe).cfg.SOLVER.MAX_ITER == 7
    (cell,) = make_cells(suite, [Init("a", None)], _request(tmp_path))
    assert cell.recipe["MODEL.ROI_HEADS.NUM_CLASSES"] == 3
    with (own_data / "recipe.yaml").open("a") as file:
        file.write("MODEL.ROI_HEADS.NUM_CLASSES: 80\n")
    with pytest.raises(DataError, match=r"cells_train has 3 classes, .* is 80; override it"):
        make_cells(suite, [Init("a", None)], _request(tmp_path))


def test_data_sets_of_one_suite_share_their_classes(own_data: Path, tmp_path: Path) -> None:
    content = json.loads((own_data / "val.json").read_text())
    content["categories"][0]["name"] = "green"
    (own_data / "other.json").write_text(json.dumps(content))
    path = own_data / "other.yaml"
    path.write_text(SUITE.replace("val.json", "other.json"))
    with pytest.raises(DataError, match="cells_train and cells_val have different classes"):
        make_cells(read_suite(path), [Init("a", None)], _request(tmp_path))


def test_names_of_suites(own_data: Path) -> None:
    copy = own_data / "copy.yaml"
    copy.write_text(SUITE)
    with pytest.raises(UsageError, match=r"name my_cells is also that of .*my_suite.yaml"):
        load_suites([str(own_data / "my_suite.yaml"), str(copy)])
    copy.write_text(SUITE.replace("my_cells", "voc_c4"))
    with pytest.raises(UsageError, match="name voc_c4 is one of ours"):
        load_suite(str(copy))
    assert load_suite(str(SUITES / "voc_c4.yaml")).name == "voc_c4"
    with pytest.raises(UsageError, match="absent.yaml: no such file"):
        load_suite("absent.yaml")


def test_smoke_without_a_word_is_that_of_the_architecture(own_data: Path, tmp_path: Path) -> None:
    suite = read_suite(own_data / "my_suite.yaml")
    assert suite.smoke is None
    request = _request(tmp_path, smoke=True)
    small = resolve(suite, request, suite.recipe).cfg
    like = resolve(load_suite("voc_c4"), request, "voc_c4").cfg
    assert small.INPUT.MAX_SIZE_TRAIN == like.INPUT.MAX_SIZE_TRAIN
    assert small.MODEL.MASK_ON is False


def _run_small(suite: Path, output: Path, benchmark: Run, *more: str) -> dict[str, Any]:
    options = miniature("random", suite=suite, output=output)
    done = benchmark(*options, *QUICK_KEYS, *more)
    assert done.returncode == 0, done.stderr
    (record,) = [json.loads(path.read_text()) for path in output.glob("records/*/*.json")]
    return record


@pytest.mark.slow
def test_a_suite_of_twelve_lines_runs(own_data: Path, tmp_path: Path, benchmark: Run) -> None:
    record = _run_small(own_data / "my_suite.yaml", tmp_path, benchmark)
    assert record["status"] == "finished"
    assert record["suite"] == "my_cells"
    assert record["recipe"]["MODEL.ROI_HEADS.NUM_CLASSES"] == 3
    assert "AP50" in record["metrics"]["bbox"]
    assert record["data"]["test"]["name"] == "cells_val"


@pytest.mark.slow
def test_a_suite_on_real_coco_images_runs(samples: Path, tmp_path: Path, benchmark: Run) -> None:
    coco = samples / "coco_mini"
    text = SUITE.replace(
        "train.json, images: images", f"{coco}/annotations/instances_train2017.json, images: {coco}/train2017"
    )
    text = text.replace(
        "val.json, images: images", f"{coco}/annotations/instances_val2017.json, images: {coco}/val2017"
    )
    path = tmp_path / "real.yaml"
    path.write_text(text)
    record = _run_small(path, tmp_path / "runs", benchmark, "SOLVER.MAX_ITER", "2")
    assert record["recipe"]["MODEL.ROI_HEADS.NUM_CLASSES"] == 80
    assert record["data"]["train"][0]["images"] == 80
