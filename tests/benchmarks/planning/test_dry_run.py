"""A dry run prints cells first, each recipe once, all that is missing with its whole path."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from benchmarks.planning import forecast
from benchmarks.planning import named_weights as weights
from benchmarks.planning.dry_run import show_plan
from benchmarks.planning.foresight import foresee
from benchmarks.planning.inits import Init
from benchmarks.planning.listing import show_list
from benchmarks.planning.request import Request
from benchmarks.planning.suite import groups, load_suite
from benchmarks.planning.suite_file import read_suite
from benchmarks.run import main
from tests.conftest import ROOT
from transfer.engines.choose import detectron2_found
from transfer.process.cache import VARIABLE
from transfer.recipes.architectures import architecture_of
from transfer.recipes.resolve import flatten, load_recipe

BASE = ["--suite", "voc_c4", "--engine", "torchvision", "--num-gpus", "8", "--dry-run"]
SMALL = ["--smoke", "SOLVER.IMS_PER_BATCH", "8"]  # one image for each of the GPUs
FLAT = flatten(load_recipe("voc_c4"))
KEYS = [key for key in FLAT if not key.startswith(architecture_of(FLAT).foreign)]


def _lines(text: str) -> dict[str, int]:
    """Line -> its first place."""
    places: dict[str, int] = {}
    for number, line in enumerate(text.splitlines()):
        places.setdefault(line, number)
    return places


def test_the_recipe_of_equal_inits_is_printed_once(devkit: Path, capsys: pytest.CaptureFixture[str]) -> None:
    inits = [f"row{n}=random" for n in range(3)]
    assert main([*BASE, "--init", *inits, "--data-root", str(devkit / "none")]) == 0
    printed = capsys.readouterr().out
    assert "recipe voc_c4 of suite voc_c4 for row0, row1, row2:\n" in printed
    for key in KEYS:
        assert printed.count(f"  {key}: ") == 1, key
    assert printed.count("  SOLVER.MAX_ITER: 24000\n") == 1
    assert printed.count("iterations 24000") == printed.count("parameters 33.23M") == 1
    assert "plan: 15 cells: 15 without their data\n" in printed


def test_another_init_prints_what_differs(
    devkit: Path, narrow_backbone: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    inits = ["random", f"moco={narrow_backbone}", "again=random"]
    assert main([*BASE, "--init", *inits, "--data-root", str(devkit / "none"), "--trials", "1"]) == 0
    printed = capsys.readouterr().out
    head = "recipe voc_c4 of suite voc_c4 for moco, as for random, again but for:\n"
    others = printed.partition(head)[2].splitlines()
    assert others == [
        "  MODEL.RESNETS.WIDTH_PER_GROUP: 4",
        "  MODEL.RESNETS.STEM_OUT_CHANNELS: 4",
        "  MODEL.RESNETS.RES2_OUT_CHANNELS: 16",
    ]
    assert "for random, again: parameters 33.23M" in printed
    assert "for moco: parameters 0.15M" in printed
    assert "for moco: iterations" not in printed, "they are those of the first"


def test_a_row_with_a_recipe_of_its_own(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    options = ["--suite", "lvis", "--engine", "torchvision", "--num-gpus", "8", "--dry-run", "--trials", "1"]
    assert main([*options, "--init", "moco=random", "supervised=random", "--data-root", str(tmp_path)]) == 0
    printed = capsys.readouterr().out
    assert "recipe lvis of suite lvis for moco:\n" in printed
    head = "recipe lvis_frozen_bn of suite lvis for supervised, as for moco but for:\n"
    others = printed.partition(head)[2]
    assert "  MODEL.RESNETS.NORM: FrozenBN\n" in others
    assert len(others.splitlines()) < 10


def test_cells_come_first_and_every_missing_path_is_whole(
    devkit: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = devkit / "none"
    assert main([*BASE, "--init", "random", "--data-root", str(root)]) == 0
    places = _lines(capsys.readouterr().out)
    order = [
        "cell voc_c4, random, seed 0: its identity needs the data",
        "plan: 5 cells: 5 without their data",
    ]
    order.append("recipe voc_c4 of suite voc_c4 for random:")
    assert [places[line] for line in order] == sorted(places[line] for line in order)
    assert places[order[0]] == 1, "behind the name of the suite"
    expected = [line for line in places if "is expected at" in line]
    assert len(expected) == 9
    assert all(line.startswith("  voc_20") and f" is expected at {root}/VOC20" in line for line in expected)


def test_what_would_run_is_counted(devkit: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*BASE, "--init", "random", "--data-root", str(devkit), *SMALL]) == 0
    printed = capsys.readouterr().out
    assert "plan: 1 cell: 1 new\n" in printed
    assert "images seen 800 per cell, 50.0 epochs of 16 images\n" in printed, "of the images that are there"


def test_nothing_is_measured_for_the_time(
    devkit: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A dry run trains no step; without a record of alike cells it says that it does not know."""
    monkeypatch.delattr(forecast, "measure")
    words = ["--suite", "voc_c4", "--init", "random", "--device", "cpu", "--engine", "torchvision"]
    words += ["--data-root", str(devkit), "--output", str(tmp_path), "--dry-run"]
    assert main(words) == 0
    assert "estimated time: unknown, no earlier record of alike cells" in capsys.readouterr().out


def test_own_data_have_epochs(
    own_data: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    request = Request(None, 0, "torchvision", False, False, tmp_path, 8, [], tmp_path)
    show_plan([foresee(read_suite(own_data / "my_suite.yaml"), request)], [Init("random", None)])
    printed = capsys.readouterr().out
    assert "iterations 9000, images seen 144000 per cell, 24000.0 epochs of 6 images\n" in printed


def test_one_trial_is_one_trial(capsys: pytest.CaptureFixture[str]) -> None:
    show_list()
    printed = capsys.readouterr().out
    assert "primary segm/AP, 1 trial\n" in printed
    assert "primary bbox/AP, 5 trials\n" in printed


def test_a_dry_run_fetches_nothing(
    devkit: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fetch(*_: object) -> None:
        raise AssertionError("a dry run needs no network")

    monkeypatch.setattr(weights, "_fetch", fetch)
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    options = [*BASE, "--init", "supervised", "random", "--data-root", str(devkit), "--trials", "1"]
    assert main([*options, *SMALL]) == 0
    printed = capsys.readouterr().out
    assert "cell voc_c4, supervised, seed 0: a run fetches supervised first\n" in printed
    assert "voc_c4, random, seed 0: new, would run\n" in printed
    assert "plan: 2 cells: 1 without their weights, 1 new\n" in printed


def test_dry_run_needs_no_data(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    options = ["--suite", "voc_c4", "--init", "random", "--engine", "torchvision", "--dry-run"]
    assert main([*options, "--data-root", str(tmp_path), "SOLVER.BASE_LR", "0.04"]) == 0
    printed = capsys.readouterr().out
    for expected in (
        "SOLVER.BASE_LR: 0.04",
        "voc_2007_test is expected at",
        "iterations 24000, images seen 384000",
        "not comparable: overrides: SOLVER.BASE_LR=0.04",
        "cell voc_c4, random, seed 4",
    ):
        assert expected in printed
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("engine", ["torchvision", pytest.param("detectron2", marks=pytest.mark.detectron2)])
def test_dry_run_of_all_fourteen_suites(
    engine: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Recipe, iterations, images and parameters of every one, within five seconds a suite."""
    if engine == "detectron2" and not detectron2_found():
        pytest.skip("Detectron2 is not importable")
    began = time.monotonic()
    options = ["--suite", "paper", "--init", "random", "--engine", engine, "--num-gpus", "8", "--dry-run"]
    assert main([*options, "--data-root", str(tmp_path)]) == 0
    assert time.monotonic() - began < 5 * len(groups()["paper"])
    printed = capsys.readouterr().out
    parts = printed.split("\nsuite ")
    assert len(parts) == len(groups()["paper"]) == 14
    for name, text in zip(groups()["paper"], parts, strict=True):
        assert text.removeprefix("suite ").startswith(f"{name} (version")
        iterations = load_recipe(load_suite(name).recipe).SOLVER.MAX_ITER
        assert f"iterations {iterations}, images seen" in text
        assert "backbone 23.51M" in text
        assert "not comparable" not in text
    assert "384000 per cell, 23.2 epochs of 16551 images" in parts[0]
    assert "mask head 2.64M" in parts[3], "4 x 590,080 + 262,400 + 20,560"


def test_a_plan_is_made_without_torch(devkit: Path, narrow_backbone: Path) -> None:
    """Importing torch alone takes seconds; only the line on parameters needs it."""
    arguments = ["--suite", "voc_c4", "--init", "random", str(narrow_backbone), "--smoke", "--dry-run"]
    arguments += ["--engine", "torchvision", "--data-root", str(devkit)]
    script = (
        "import sys; from benchmarks.planning import dry_run; dry_run._parameters = lambda flat: ''\n"
        f"from benchmarks.run import main; main({arguments!r}); print('torch' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT, check=True
    )
    assert "would run" in done.stdout
    assert done.stdout.endswith("False\n")
