"""A user's set in VOC's layout: his classes and paths, what is refused with its place, and the score."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.transfer.datasets.voc_kit import write_voc
from transfer.datasets.coco.own import OwnDataset
from transfer.datasets.own_file import own_dataset
from transfer.datasets.registry import load_dataset
from transfer.errors import DataError
from transfer.evaluation.evaluate import evaluate
from transfer.evaluation.names import evaluator_of
from transfer.evaluation.prediction import Prediction

IMAGES = {
    "a": (60, 40, [("cell", 1, 1, 20, 30, 0), ("plate", 31, 11, 60, 40, 0)]),
    "b": (60, 40, [("plate", 11, 6, 30, 25, 1), ("cell", 41, 1, 60, 20, 0)]),
}
DEFINITION = {"format": "voc", "devkit": "VOC2007", "split": "train", "classes": ["plate", "cell"]}


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    """The place of a suite's file beside a devkit of two images, one of them a PNG."""
    kit = write_voc(tmp_path, IMAGES, split="train", real=True)
    with Image.open(kit / "JPEGImages" / "b.jpg") as image:
        image.save(kit / "JPEGImages" / "b.png")
    (kit / "JPEGImages" / "b.jpg").unlink()
    return tmp_path / "suite.yaml"


def test_it_is_read_with_the_users_classes_in_their_order(suite: Path) -> None:
    own = own_dataset("mine", DEFINITION, suite)
    dataset = load_dataset("mine", suite.parent, {"mine": OwnDataset.from_json("mine", own.to_json())})
    assert dataset.metadata["thing_classes"] == ["plate", "cell"]
    assert [Path(r["file_name"]).name for r in dataset.records] == ["a.jpg", "b.png"]
    found = [
        [(a["category_id"], a["bbox"], a["difficult"]) for a in r["annotations"]] for r in dataset.records
    ]
    assert found == [
        [(1, [0, 0, 20, 30], 0), (0, [30, 10, 60, 40], 0)],
        [(0, [10, 5, 30, 25], 1), (1, [40, 0, 60, 20], 0)],
    ]
    assert dataset.where.endswith("datasets: mine")
    assert (
        evaluator_of("mine", {"mine": own})
        == (dataset.metadata["evaluator"], ("bbox",))
        == ("voc", ("bbox",))
    )


def test_it_is_scored_by_the_area_under_the_curve(suite: Path) -> None:
    """One of two cells is found, above all else: half the area, where eleven points would give 6/11."""
    dataset = load_dataset("mine", suite.parent, {"mine": own_dataset("mine", DEFINITION, suite)})
    box, score, plate = np.array([[0, 0, 20, 30]], np.float32), np.ones(1, np.float32), np.array([0])
    found = [
        Prediction("a", box, score, np.array([1])),
        Prediction("b", np.array([[0, 0, 5, 5]], np.float32), score / 2, plate),
    ]
    scores = evaluate(dataset, found)
    assert scores.per_class["bbox"]["AP50"] == {"plate": 0.0, "cell": 50.0}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (
            {"classes": ["plate", "cel"]},
            r"mine: devkit: Annotations/a.xml: object 0 \(cell\).*the suite's 2 classes",
        ),
        ({"classes": ["plate", "plate"]}, "mine: classes is .*; expected a list of different names"),
        ({"classes": "plate"}, "mine: classes is 'plate'; expected a list"),
        ({"classes": []}, r"mine: classes is \[\]; expected a list"),
        (
            {"split": "trian"},
            "mine: split: .*trian.txt is not a file; correct `split`: did you mean train.txt",
        ),
        ({"split": "../x"}, "mine: split is '../x'; expected the name of a list"),
        ({"devkit": "VOC207"}, "mine: devkit: .*is not a folder; correct `devkit`"),
        ({"json": "a.json"}, "mine: json is unknown; the keys are format, devkit, split, classes$"),
        ({"format": "yolo"}, "mine: format is 'yolo'; expected coco or voc"),
        ({"format": ["voc"]}, r"mine: format is \['voc'\]; expected coco or voc"),
    ],
)
def test_what_cannot_be_meant_is_one_line_with_its_key(
    suite: Path, change: dict[str, Any], says: str
) -> None:
    with pytest.raises(DataError, match=says):
        load_dataset("mine", suite.parent, {"mine": own_dataset("mine", DEFINITION | change, suite)})


def test_an_empty_set_is_refused(suite: Path) -> None:
    xml = "<annotation><size><width>60</width><height>40</height></size></annotation>"
    for name in "ab":
        (suite.parent / "VOC2007" / "Annotations" / f"{name}.xml").write_text(xml)
    with pytest.raises(DataError, match="there are none, so there is nothing to train on"):
        load_dataset("mine", suite.parent, {"mine": own_dataset("mine", DEFINITION, suite)})


def test_a_path_may_begin_with_a_variable(suite: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    definition = DEFINITION | {"devkit": "$MY_DATA/VOC2007"}
    monkeypatch.delenv("MY_DATA", raising=False)
    with pytest.raises(DataError, match="mine: devkit is .*; the variable MY_DATA is not set"):
        own_dataset("mine", definition, suite)
    monkeypatch.setenv("MY_DATA", str(suite.parent))
    here = own_dataset("mine", definition, Path("/elsewhere/suite.yaml"))
    assert here.json == suite.parent / "VOC2007" / "ImageSets" / "Main" / "train.txt"
    monkeypatch.chdir(suite.parent.parent)
    monkeypatch.setenv("MY_DATA", suite.parent.name)
    assert own_dataset("mine", definition, Path("/elsewhere/suite.yaml")).json == here.json
