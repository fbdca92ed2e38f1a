"""A fault of a suite is said before any data are read, any weights opened, anything trained."""

from __future__ import annotations

import dataclasses
import re
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from benchmarks.planning import recipe
from benchmarks.planning.cells import make_cells
from benchmarks.planning.foresight import foresee
from benchmarks.planning.inits import Init
from benchmarks.planning.request import Request
from benchmarks.planning.suite import groups, load_suite, load_suites
from benchmarks.planning.suite_file import read_suite
from benchmarks.run import main
from converters.backbone import Backbone, load_backbone
from tests.benchmarks.own_kit import SUITE
from transfer.datasets.synthetic.make import make_synthetic
from transfer.recipes.resolve import load_recipe

# what is changed in the twelve lines -> what the line must say; there are no data at all
MISTAKES = {
    "H3, no such number": (
        "primary: bbox/AP50",
        "primary: bbox/APx",
        r"primary: bbox/APx will not be measured; this recipe on cells_val yields bbox/AP, bbox/AP50, .*APl$",
    ),
    "H3, no head": (
        "primary: bbox/AP50",
        "primary: segm/AP",
        r"primary: segm/AP will not be measured \(MODEL.MASK_ON is false\); this recipe on cells_val yields",
    ),
    "another metric": (
        "primary: bbox/AP50",
        "primary: bbox/AP50\nmetrics: [bbox/AP50, keypoints/AP]",
        r"metrics: keypoints/AP will not be measured \(MODEL.KEYPOINT_ON is false\)",
    ),
    "a task of another kind": (
        "primary: bbox/AP50",
        "primary: sem_seg/mIoU",
        "sem_seg/mIoU will not be meas",
    ),
    "a metric twice": (
        "primary: bbox/AP50",
        "primary: bbox/AP50\nmetrics: [bbox/AP50, bbox/AP50]",
        "metrics has bbox/AP50 twice; keep one",
    ),
    "masks": (
        "MASK_ON: false",
        "MASK_ON: true",
        "cells_train: tasks: MODEL.MASK_ON is true, but its tasks are bbox; set",
    ),
    "an FCN": (
        "coco_c4_1x\n  MODEL.MASK_ON: false",
        "voc_semantic",
        "cells_train has bbox: it is not for a segmentor",
    ),
    "maps for a detector": (
        "[cells_train]",
        "[voc_2012_sem_seg_train]",
        "cells_train is not used; name it in",
    ),
    "nothing to train on": ("TRAIN: [cells_train]", "TRAIN: []", "cells_train is not used; name it in"),
    "two to test on": (
        "TEST: [cells_val]",
        "TEST: [cells_val, cells_train]",
        "expected exactly one data set",
    ),
    "no name": ("TEST: [cells_val]", "TEST: [cells_val, 7]", "expected exactly one data set"),
    "the miniature, without --smoke": (
        "primary: bbox/AP50",
        "primary: bbox/AP50\nsmoke: {FOO: 1}",
        "smoke: unknown key FOO",
    ),
    "a value of the miniature": (
        "primary: bbox/AP50",
        "primary: bbox/AP50\nsmoke: {_BASE_: c4, SOLVER.MAX_ITER: 0}",
        "smoke: SOLVER.MAX_ITER is 0; expected a whole number from 1",
    ),
    "a row's own recipe": (
        "primary: bbox/AP50",
        "primary: bbox/AP50\nvariants: {moco: coco_c9}",
        "coco_c9.yaml does not exist; nearest: coco_c4",
    ),
    "a row's own heads": (
        "primary: bbox/AP50",
        "primary: bbox/AP50\nvariants: {moco: coco_keypoint}",
        "cells_train: tasks: MODEL.KEYPOINT_ON is true, but its tasks are bbox; set",
    ),
    "variants": (
        "primary: bbox/AP50",
        "primary: bbox/AP50\nvariants: {moco: 3}",
        "variants: 'moco' is 3; exp",
    ),
    "infinite": (
        "SOLVER.MAX_ITER: 9000",
        "SOLVER.BASE_LR: .inf",
        "recipe: SOLVER.BASE_LR is inf; expected a fin",
    ),
    "backwards": ("[6000, 8000]", "[8000, 6000]", r"recipe: SOLVER.STEPS is \[8000, 6000\]; expected"),
    "no iterations": ("9000", "0", "recipe: SOLVER.MAX_ITER is 0; expected a whole number from 1"),
    "no end of them": ("9000", "1" + 20 * "0", "SOLVER.MAX_ITER is 1000+; expected a whole number from 1"),
    "no workers": ("SOLVER.MAX_ITER: 9000", "DATALOADER.NUM_WORKERS: -3", "NUM_WORKERS is -3; expected"),
    "no anchors": (
        "SOLVER.MAX_ITER: 9000",
        "MODEL.ANCHOR_GENERATOR.SIZES: [[0]]",
        r"SIZES is \[\[0\]\]; expected",
    ),
    "a key twice": (
        "primary:",
        "primary: bbox/AP\nprimary:",
        "line 13: 'primary' is given twice, first in line 12",
    ),
    "a key of the recipe twice": (
        "  SOLVER.MAX_ITER: 9000",
        "  SOLVER.GAMMA: 0.1\n  SOLVER.GAMMA: 0.2",
        "line 6: 'SOLVER.GAMMA' is given twice, first in line 5; keep one",
    ),
    "a data set twice": (
        "  cells_val:",
        "  cells_train: 1\n  cells_val:",
        "line 11: 'cells_train' is given tw",
    ),
    "deep": ("name: my_cells", "name: " + "[" * 5000, "line 1: lists or mappings more than 32 deep"),
    "NUL": ("my_cells", "my\0cells", r"line 1: character U\+0000 is not allowed; remove it"),
    "a long name": ("my_cells", "a" * 300, "name is 'aaa.*; letters, digits, _ . - only, up to 100"),
    "trials": (
        "primary: bbox/AP50",
        "primary: bbox/AP50\ntrials: 1000000",
        "trials is 1000000; expected 1 to 1000",
    ),
    "version": ("primary: bbox/AP50", f"primary: bbox/AP50\nversion: {10**20}", "expected 1 to 1000000000"),
}


@pytest.mark.parametrize("dry", [True, False], ids=["dry-run", "run"])
@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_one_line_without_data(
    mistake: str, dry: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before, after, message = MISTAKES[mistake]
    text = SUITE.replace(before, after, 1)
    assert text != SUITE
    (tmp_path / "mine.yaml").write_text(text)
    options = ["--suite", str(tmp_path / "mine.yaml"), "--init", "random", "--engine", "torchvision"]
    options += ["--output", str(tmp_path / "runs"), *(["--dry-run"] if dry else ["--device", "cpu"])]
    assert main(options) == 2
    captured = capsys.readouterr()
    lines = [line for line in captured.err.splitlines() if not line.startswith("engine: ")]
    assert len(lines) == 1, lines
    assert re.search(message, lines[0]), lines[0]
    assert len(lines[0]) < 600
    assert captured.out == ""
    assert [path.name for path in tmp_path.iterdir()] == ["mine.yaml"], "nothing must be made"


def _request(tmp_path: Path, *overrides: tuple[str, str]) -> Request:
    return Request(None, 0, "torchvision", False, False, tmp_path, 8, list(overrides), tmp_path)


def test_ours_are_without_a_word(tmp_path: Path) -> None:
    for name in groups()["paper"]:
        assert foresee(load_suite(name), _request(tmp_path)).notes == []
        small = dataclasses.replace(_request(tmp_path), smoke=True, num_processes=1)
        assert foresee(load_suite(name), small).notes == []


def test_the_twelve_lines_are_without_a_word(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(SUITE)
    assert foresee(read_suite(tmp_path / "mine.yaml"), _request(tmp_path)).notes == []


def test_what_overrides_take_away_is_said(tmp_path: Path) -> None:
    suite = load_suite("coco_c4_1x")
    (note,) = foresee(suite, _request(tmp_path, ("MODEL.MASK_ON", "False"))).notes
    assert note == "coco_c4_1x: segm/AP, segm/AP50, segm/AP75 will have no value, by your overrides"
    (note,) = foresee(suite, _request(tmp_path, ("SOLVER.MAX_ITER", "70000"))).notes
    assert note == "coco_c4_1x: of SOLVER.STEPS [60000, 80000], those from SOLVER.MAX_ITER 70000 never come"
    with pytest.raises(ValueError, match=r"primary: segm/AP will not be measured \(MODEL.MASK_ON is false\)"):
        foresee(load_suite("lvis"), _request(tmp_path, ("MODEL.MASK_ON", "False")))


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (("DATASETS.TRAIN", "[]"), r"DATASETS.TRAIN is \[\]; expected the names of one data set or more"),
        (("DATASETS.TEST", "[]"), r"DATASETS.TEST is \[\]; expected exactly one"),
        (
            ("DATASETS.TEST", "['voc_2007_tset']"),
            "unknown data set 'voc_2007_tset'; did you mean voc_2007_test",
        ),
        (
            ("DATASETS.TEST", "['voc_2012_sem_seg_val']"),
            "has sem_seg: it is not for a detector; change DATASETS",
        ),
        (
            ("SOLVER.IMS_PER_BATCH", "12"),
            "IMS_PER_BATCH 12 is not a multiple of SOLVER.REFERENCE_WORLD_SIZE 8",
        ),
        (("DATASETS.TRAIN", "[7]"), "DATASETS: 7 is no name of a data set"),
        (("MODEL.MASK_ON", "True"), "voc_2007_trainval: MODEL.MASK_ON is true, but its tasks are bbox; set"),
    ],
)
def test_overrides_that_cannot_run(overrides: tuple[str, str], message: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=message):
        foresee(load_suite("voc_c4"), _request(tmp_path, overrides))


def test_a_batch_that_processes_cannot_share(tmp_path: Path) -> None:
    keys = (("SOLVER.IMS_PER_BATCH", "12"), ("SOLVER.REFERENCE_WORLD_SIZE", "0"))
    with pytest.raises(ValueError, match="voc_c4: SOLVER.IMS_PER_BATCH 12 is no multiple of 8 processes"):
        foresee(load_suite("voc_c4"), _request(tmp_path, *keys))


def test_own_data_are_not_generated(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mine.yaml").write_text(SUITE)
    options = ["--suite", str(tmp_path / "mine.yaml"), "--init", "random", "--data", "synthetic"]
    assert main([*options, "--output", str(tmp_path / "runs"), "--engine", "torchvision"]) == 2
    assert "--data synthetic makes public data sets, not its own; leave it out" in capsys.readouterr().err


@pytest.fixture
def loaded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the recipes that are loaded from now on, once a time."""
    names: list[str] = []

    def load(name: str, *layers: Any) -> Any:
        names.append(name)
        return load_recipe(name, *layers)

    monkeypatch.setattr(recipe, "load_recipe", load)
    return names


@pytest.mark.parametrize(("overrides", "times"), [([], 2), (["SOLVER.GAMMA", "0.2"], 3)])
def test_a_dry_run_resolves_a_recipe_once(
    overrides: list[str], times: int, tmp_path: Path, loaded: list[str]
) -> None:
    """At full size, as a miniature and, where there are overrides, with them; for all rows and trials."""
    options = ["--suite", "lvis", "--init", "a=random", "supervised=random", "msra=random", "--trials", "3"]
    options += ["--engine", "torchvision", "--num-gpus", "8", "--data-root", str(tmp_path), "--dry-run"]
    assert main([*options, *overrides]) == 0
    assert loaded == ["lvis"] * times + ["lvis_frozen_bn"] * times


def test_a_grid_of_1400_cells_is_planned_in_seconds(
    tmp_path: Path, narrow_backbone: Path, loaded: list[str]
) -> None:
    """14 suites x 20 inits x 5 trials, a recipe resolved once for all rows; the bound is a sanity bound."""
    suites = load_suites(["paper"])
    names = {n for s in suites for part in ("TRAIN", "TEST") for n in load_recipe(s.recipe).DATASETS[part]}
    make_synthetic(sorted(names), tmp_path, train_images=2, test_images=1, image_size=32)
    plain = load_backbone(narrow_backbone)
    inits = [Init("random", None)]
    for number in range(19):
        mean = plain.weights["stem.conv1.norm.running_mean"] + number
        weights = plain.weights | {"stem.conv1.norm.running_mean": mean}
        inits.append(Init(f"init {number}", Backbone(weights, plain.manifest)))
    request = Request(5, 0, "torchvision", False, False, tmp_path, 8, [], tmp_path)
    began = time.process_time()
    cells = [cell for suite in suites for cell in make_cells(suite, inits, request)]
    assert time.process_time() - began < 10
    assert len({cell.id for cell in cells}) == len(cells) == 1400
    recipes = {name for suite in suites for name in (suite.recipe, *suite.variants.values())}
    assert Counter(loaded) == dict.fromkeys(recipes, 2)
