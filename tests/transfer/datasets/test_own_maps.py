"""A user's own class maps: classes and paths of his, what is refused with its place, and the score."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from benchmarks.planning.own_data import check_trainable
from transfer.datasets.coco.own import OwnDataset
from transfer.datasets.findings import Findings
from transfer.datasets.own_file import own_dataset
from transfer.datasets.own_formats import read
from transfer.datasets.registry import load_dataset
from transfer.errors import DataError
from transfer.evaluation.evaluate import evaluate
from transfer.evaluation.names import evaluator_of
from transfer.evaluation.prediction import Prediction

DEFINITION = {"format": "class_maps", "images": "images", "maps": "maps", "list": "train.txt"}
DEFINITION |= {"classes": ["ground", "cell"]}  # type: ignore[dict-item]


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    """The place of a suite's file beside two images of 6 x 4 pixels, one of them a PNG, and their maps."""
    for folder in ("images", "maps"):
        (tmp_path / folder).mkdir()
    for name in ("a.jpg", "b.png"):
        Image.new("RGB", (6, 4), (90, 120, 60)).save(tmp_path / "images" / name)
        found = np.zeros((4, 6), np.uint8)
        found[:, :3] = name == "a.jpg"
        found[0] = 255
        Image.fromarray(found).save(tmp_path / "maps" / f"{name[0]}.png")
    (tmp_path / "train.txt").write_text("a\nb\n")
    return tmp_path / "suite.yaml"


def _loaded(suite: Path, **change: Any) -> Any:
    own = own_dataset("mine", DEFINITION | change, suite)
    return load_dataset("mine", suite.parent, {"mine": OwnDataset.from_json("mine", own.to_json())})


def test_it_is_read_and_scored_with_the_users_classes(suite: Path) -> None:
    dataset = _loaded(suite)
    assert dataset.metadata["stuff_classes"] == ["ground", "cell"]
    assert [Path(r["file_name"]).name for r in dataset.records] == ["a.jpg", "b.png"]
    assert dataset.where.endswith("datasets: mine")
    own = own_dataset("mine", DEFINITION, suite)
    assert evaluator_of("mine", {"mine": own}) == (dataset.metadata["evaluator"], ("sem_seg",))
    check_trainable([dataset])
    ground = [Prediction(name, sem_seg=np.zeros((4, 6), np.uint8)) for name in "ab"]
    scores = evaluate(dataset, ground)  # of 36 judged pixels 9 are of the cell, which nobody found
    assert scores.summary["sem_seg"]["mIoU"] == pytest.approx(100 * (27 / 36 + 0) / 2)


def test_another_map_is_another_set(suite: Path) -> None:
    before = _loaded(suite).summary["sha256"]
    Image.fromarray(np.ones((4, 6), np.uint8)).save(suite.parent / "maps" / "b.png")
    assert _loaded(suite).summary["sha256"] != before


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"classes": ["ground", "ground"]}, "mine: classes is .*; expected a list of different names"),
        ({"classes": [str(n) for n in range(256)]}, "classes has 256 names; a map has room for 255"),
        ({"images": "image"}, "mine: images: .* is not a folder; correct `images`: did you mean images"),
        ({"maps": "map"}, "mine: maps: .* is not a folder; correct `maps`: did you mean maps"),
        ({"list": "test.txt"}, "mine: list: .* is not a file; correct `list`"),
        ({"masks": "maps"}, "mine: masks is unknown; the keys are format, images, maps, list, classes"),
    ],
)
def test_what_is_wrong_is_named_by_its_key(suite: Path, change: dict[str, Any], says: str) -> None:
    with pytest.raises(DataError, match=says):
        _loaded(suite, **change)


@pytest.mark.parametrize(
    ("lost", "says"),
    [("images/a.jpg", r"a: image = a\.jpg: no such file"), ("maps/b.png", r"b: map = b\.png: no such file")],
)
def test_a_lost_file_is_named(suite: Path, lost: str, says: str) -> None:
    (suite.parent / lost).unlink()
    with pytest.raises(DataError, match=f"datasets: mine: list: .*{says}"):
        _loaded(suite)


def test_a_class_that_the_suite_does_not_name_is_found_by_the_check(suite: Path) -> None:
    Image.fromarray(np.full((4, 6), 2, np.uint8)).save(suite.parent / "maps" / "b.png")
    findings = Findings(deep=True)
    read(own_dataset("mine", DEFINITION, suite), findings)
    assert findings.examples["mask-class"][0].says.startswith("expected 0..1 or 255")
