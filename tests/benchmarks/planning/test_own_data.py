"""A fault in a user's own data: dry run and run end in one true line, whose advice works when it is typed."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.planning.cells import make_cells
from benchmarks.planning.inits import Init
from benchmarks.planning.request import Request
from benchmarks.planning.suite_file import read_suite
from benchmarks.run import main
from tests.benchmarks.own_kit import in_json, in_suite
from tests.conftest import ROOT
from transfer.datasets.check import main as datasets
from transfer.datasets.coco.own import OwnDataset
from transfer.errors import DataError

TRAIN = "format: coco, json: train.json, images: images, tasks: [bbox]"
NAN = float("nan")
BLOCK = "suite my_suite.yaml: datasets: "
# what is done to the kit -> what both last lines say behind "error: "; the paths in them are absolute
FAULTS: dict[str, tuple[Callable[[Path], object], str]] = {
    "format": (
        in_suite(TRAIN, TRAIN.replace("coco", "yolo")),
        BLOCK + "cells_train: format is 'yolo'; expected coco",
    ),
    "json misspelt": (
        in_suite("train.json", "trian.json"),
        BLOCK + r"cells_train: json: \S+/trian.json is not a file; correct `json`: did you mean train.json",
    ),
    "json is a folder": (
        in_suite("train.json", "images"),
        BLOCK + r"cells_train: json: \S+/images is not a file; correct `json`: it is a folder",
    ),
    "json of no folder": (
        in_suite("train.json", "a/b/train.json"),
        BLOCK + r"cells_train: json: \S+/a/b/train.json is not a file; correct `json`: \S+ has no a$",
    ),
    "json is none": (
        lambda root: (root / "train.json").write_text("{"),
        BLOCK + r"cells_train: json: \S+/train.json: not valid JSON",
    ),
    "images": (
        in_suite(TRAIN, TRAIN.replace("images: images", "images: train.json")),
        BLOCK + r"cells_train: images: \S+/train.json is not a folder; correct `images`: it is a file",
    ),
    "tasks": (
        in_suite(TRAIN, TRAIN.replace("[bbox]", "[box]")),
        BLOCK + r"cells_train: tasks is \['box'\]; expected bbox and",
    ),
    "classes": (
        in_json("val", lambda doc: doc["categories"][1].update(name="square")),
        BLOCK
        + r"cells_train and cells_val have different classes .*\(3 and 3; number 2 is round and square\)",
    ),
    "one class more": (
        in_json("val", lambda doc: doc["categories"].append({"id": 10, "name": "new"})),
        BLOCK + r"cells_train and cells_val have different classes .*\(3 and 4; number 4 is none and new\)",
    ),
    "masks": (
        in_suite("MASK_ON: false", "MASK_ON: true"),
        BLOCK + "cells_train: tasks: MODEL.MASK_ON is true, but its tasks are bbox; set MODEL.MASK_ON: false",
    ),
    "NaN": (
        in_json("train", lambda doc: doc["annotations"][4].update(bbox=[4, NAN, 24, 30])),
        BLOCK
        + r"cells_train: json: train.json: annotation id 21 \(image 2\): bbox = \[4.0, nan, 24.0, 30.0\]",
    ),
    "number of classes": (
        in_suite("  SOLVER.MAX", "  MODEL.ROI_HEADS.NUM_CLASSES: 4\n  SOLVER.MAX"),
        BLOCK + "cells_train has 3 classes, MODEL.ROI_HEADS.NUM_CLASSES is 4; override it: .* 3$",
    ),
    "images elsewhere": (
        lambda root: (shutil.rmtree(root / "images"), (root / "images").mkdir()),
        BLOCK
        + r"cells_train: images: none of the 6 images that train.json names is in \S+/images \(the first",
    ),
    "two images gone": (
        lambda root: [(root / "images" / f"00{n}.jpg").unlink() for n in (7, 8)],
        BLOCK + "cells_val: images: val.json: image id 7: file_name = 007.jpg: no such file under images .*"
        r"\(and 1 more\); mend it",
    ),
    "only crowds": (
        in_json("train", lambda doc: [a.update(iscrowd=1) for a in doc["annotations"]]),
        BLOCK + "cells_train: json: none of its 18 annotations can be trained on",
    ),
    "not used": (
        in_suite("TRAIN: [cells_train]", "TRAIN: [cells_val]"),
        BLOCK + "cells_train is not used; name it in the recipe's DATASETS.TRAIN",
    ),
    "not defined": (
        in_suite("TRAIN: [cells_train]", "TRAIN: [cells_train, cells_trian]"),
        r"unknown data set 'cells_trian'; did you mean cells_train",
    ),
}


def _last_line(capsys: pytest.CaptureFixture[str], *options: str) -> str:
    command = ["--suite", "my_suite.yaml", "--init", "random", "--engine", "torchvision", "--device", "cpu"]
    assert main([*command, *options]) == 2
    errors = capsys.readouterr().err.splitlines()
    assert [line for line in errors if not line.startswith("engine: ")] == errors[-1:]
    return errors[-1]


@pytest.mark.parametrize("fault", FAULTS)
def test_dry_run_and_run_end_in_the_same_true_line(
    fault: str, kit: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spoil, message = FAULTS[fault]
    spoil(kit)
    said = _last_line(capsys, "--dry-run")
    assert re.match(f"error: {message}", said), said
    assert "unknown data set 'cells_train'" not in said
    assert _last_line(capsys) == said
    assert not list((kit / "runs").rglob("*.json"))


@pytest.mark.parametrize("fault", ["NaN", "two images gone"])
def test_the_advice_works_when_it_is_typed(fault: str, kit: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """In a shell, to the letter; it finds what the run found, in full."""
    FAULTS[fault][0](kit)
    said = _last_line(capsys, "--dry-run")
    advice = said.partition("list everything with: ")[2]
    assert re.fullmatch(r"python -m transfer.datasets check cells_(train|val) --suite my_suite.yaml", advice)
    folder = Path(sys.executable).parent
    environment = {**os.environ, "PATH": f"{folder}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(advice, shell=True, env=environment, capture_output=True, text=True)
    assert done.returncode == 1, done.stderr
    wrong = "annotation id 21" if fault == "NaN" else "image id 8: file_name = 008.jpg"
    assert wrong in done.stdout
    assert done.stdout.endswith("not usable: mend the errors\n")


def test_the_advice_quotes_what_a_shell_would_split(kit: Path) -> None:
    own = OwnDataset("my cells", kit / "a.json", kit, ("bbox",), kit / "my suite's.yaml")
    words = shlex.split(own.check_command)
    assert words[1:] == ["-m", "transfer.datasets", "check", "my cells", "--suite", str(own.suite)]


def test_a_cell_gets_the_data_sets_as_they_were_defined(kit: Path) -> None:
    """Through the job file, for a process with another working directory."""
    request = Request(None, 0, "torchvision", False, False, kit, 1, [], kit)
    (cell,) = make_cells(read_suite(Path("my_suite.yaml")), [Init("random", None)], request)
    for name, own in cell.own.items():
        again = OwnDataset.from_json(name, own.to_json())
        assert (again.json, again.images, again.tasks) == (own.json, own.images, own.tasks)
        assert again.suite == kit / "my_suite.yaml"
    assert cell.training[0].title == "suite my_suite.yaml: datasets: cells_train"


def test_public_data_that_is_absent_does_not_fail_a_dry_run(kit: Path) -> None:
    options = ["--init", "random", "--engine", "torchvision", "--data-root", str(kit / "none"), "--dry-run"]
    assert main(["--suite", "voc_c4", *options]) == 0


def test_a_head_that_own_data_cannot_have(kit: Path) -> None:
    in_suite("coco_c4_1x\n  MODEL.MASK_ON: false", "coco_densepose")(kit)
    request = Request(None, 0, "torchvision", False, False, kit, 1, [], kit)
    with pytest.raises(DataError, match="cells_train: tasks: MODEL.DENSEPOSE_ON is true, .*set .* false in"):
        make_cells(read_suite(kit / "my_suite.yaml"), [Init("random", None)], request)


def test_check_and_run_name_a_fault_alike(kit: Path, capsys: pytest.CaptureFixture[str]) -> None:
    FAULTS["json misspelt"][0](kit)
    said = _last_line(capsys, "--dry-run")
    assert datasets(["check", "--suite", "my_suite.yaml"]) == 2
    captured = capsys.readouterr()
    assert captured.err == f"{said}\n"
    assert captured.out.endswith("usable\n"), "the other data set is checked all the same"
