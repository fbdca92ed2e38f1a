"""The doctor opens a user's own data, and says of a suite all that a run would refuse."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks import doctor
from benchmarks.doctor import main
from benchmarks.health.data import find_data
from benchmarks.health.finding import OK, PROBLEM, Finding
from tests.benchmarks.own_kit import SUITE, in_json, in_suite

NAN = float("nan")


def _found(root: Path, level: str) -> list[str]:
    findings = list(find_data(root, ["my_suite.yaml"], needed=True))
    assert all(finding.level in (OK, PROBLEM) for finding in findings)
    return [finding.what for finding in findings if finding.level == level]


def test_good_data_are_counted_and_no_folder_is_named_that_is_not_theirs(kit: Path) -> None:
    findings = list(find_data(kit / "datasets", ["my_suite.yaml"], needed=True))
    assert findings == [
        Finding(
            OK,
            f"own data for my_cells: {name}: {amount} objects by {kit}/{name[6:]}.json",
            f"its image files are opened by: python -m transfer.datasets check {name} --suite my_suite.yaml",
        )
        for name, amount in (("cells_train", "6 images, 18"), ("cells_val", "3 images, 9"))
    ]


ALONE: dict[str, tuple[Callable[[Path], object], str]] = {
    "NaN": (
        in_json("val", lambda doc: doc["annotations"][0].update(bbox=[NAN, 6, 24, 30])),
        "cells_val: json: val.json: annotation id 70",
    ),
    "images": (
        in_suite("json: val.json, images: images", "json: val.json, images: val.json"),
        "val.json is not a folder; correct `images`",
    ),
    "json": (in_suite("val.json", "absent.json"), "absent.json is not a file; correct `json`"),
    "not a json": (lambda root: (root / "val.json").write_text("{}"), "cells_val: json: "),
    "format": (
        in_suite("format: coco, json: val", "format: yolo, json: val"),
        "cells_val: format is 'yolo'; expected coco or voc",
    ),
    "classes": (
        in_suite("  SOLVER.MAX", "  MODEL.ROI_HEADS.NUM_CLASSES: 80\n  SOLVER.MAX"),
        "cells_train has 3 classes, MODEL.ROI_HEADS.NUM_CLASSES is 80",
    ),
    "one class less": (
        in_json("train", lambda doc: doc["categories"].append({"id": 10, "name": "new"})),
        "have different classes or another order of them (4 and 3; number 4 is new and none)",
    ),
    "keypoints": (
        in_suite("coco_c4_1x\n  MODEL.MASK_ON: false", "coco_keypoint"),
        "cells_train: tasks: MODEL.KEYPOINT_ON is true, but its tasks are bbox",
    ),
}


@pytest.mark.parametrize("fault", ALONE)
def test_what_a_run_would_refuse_is_a_problem(fault: str, kit: Path) -> None:
    spoil, message = ALONE[fault]
    spoil(kit)
    problems = _found(kit / "datasets", PROBLEM)
    assert any(message in problem for problem in problems), problems
    assert all(problem.startswith("my_cells: suite my_suite.yaml: datasets: ") for problem in problems)
    assert not any(str(kit / "datasets") in problem for problem in problems), "nothing of it lies there"


def test_all_faults_are_said_at_once_and_each_once(kit: Path) -> None:
    in_json("train", lambda doc: doc["annotations"][0].update(bbox=[NAN, 6, 24, 30]))(kit)
    in_json("train", lambda doc: doc["annotations"][1].update(iscrowd=2))(kit)
    text = SUITE.replace("MASK_ON: false", "MASK_ON: true").replace("json: val.json", "json: absent.json")
    (kit / "my_suite.yaml").write_text(text)
    problems = [problem.partition(": datasets: ")[2] for problem in _found(kit, PROBLEM)]
    begins = ["cells_train: tasks:", "cells_train: json:", "cells_val: tasks:", "cells_val: json:"]
    assert [" ".join(problem.split(" ")[:2]) for problem in problems] == begins
    assert "(and 1 more); in all: bad-flag 1, not-a-number 1" in problems[1]


def test_the_exit_code_tells(
    kit: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(["--suite", "my_suite.yaml"]) == 0
    assert capsys.readouterr().out.endswith("     ok  ready\n")
    ALONE["NaN"][0](kit)
    monkeypatch.setattr(doctor, "cell_process", tuple)  # it started, and would again
    assert main(["--suite", "my_suite.yaml"]) == 1
    printed = capsys.readouterr().out
    assert (
        "PROBLEM  my_cells: suite my_suite.yaml: datasets: cells_val: json: val.json: annotation" in printed
    )
    assert printed.endswith("PROBLEM  1 to mend\n")


def test_a_suite_of_public_and_own_data(kit: Path, devkit: Path) -> None:
    """Each under its own roof: the public one under the root, and the user's where the file says."""
    data = "{cells: {format: coco, json: val.json, images: images, tasks: [bbox]}}"
    keys = "_BASE_: voc_c4, DATASETS.TRAIN: [voc_2007_trainval], DATASETS.TEST: [cells]"
    suite = f"name: my_cells\nrecipe: {{{keys}}}\ndatasets: {data}\nprimary: bbox/AP50\n"
    (kit / "my_suite.yaml").write_text(suite)
    (missing,) = _found(kit / "none", PROBLEM)
    assert missing.startswith(f"data for my_cells: missing under {kit}/none: VOC2007/")
    assert "val.json" not in missing
    (differ,) = _found(devkit, PROBLEM)
    assert "different classes or another order of them (20 and 3; number 1 is aeroplane and red)" in differ
    assert f"data under {devkit} for my_cells" in _found(devkit, OK)


def test_ours_are_not_planned(devkit: Path) -> None:
    findings = list(find_data(devkit, ["voc_c4"], needed=True))
    assert not any("own data" in finding.what for finding in findings)
