"""Result files are written a slice at a time and read as one list."""

from __future__ import annotations

import json

import numpy as np
import pytest

from tests.transfer.evaluation.coco import scenes
from transfer.datasets.coco.rle import as_text
from transfer.errors import DataError
from transfer.evaluation.coco import files as coco_files
from transfer.evaluation.coco.detections import detections
from transfer.evaluation.evaluate import write_predictions

TASKS = ("bbox", "segm")


@pytest.mark.parametrize("size", [1, 4, 10_000])
def test_slices_make_one_list(tmp_path, monkeypatch, size):
    rng = np.random.RandomState(2)
    doc = scenes.document(rng, "segm", images=4)
    data, predictions = scenes.dataset(doc, TASKS), scenes.predictions(rng, doc, TASKS)
    monkeypatch.setattr(coco_files, "SLICE", size)
    write_predictions(data, predictions, tmp_path)
    found = detections(data, predictions)
    expected = found.results("bbox", "segmentation")
    for entry in expected:
        entry["segmentation"] = as_text(entry["segmentation"])
    assert len(expected) > 4
    assert json.loads((tmp_path / coco_files.FILES["coco"]).read_text()) == expected


def test_no_detections_are_an_empty_list(tmp_path):
    data = scenes.dataset(scenes.document(np.random.RandomState(2), "segm"), TASKS)
    write_predictions(data, [], tmp_path)
    assert json.loads((tmp_path / coco_files.FILES["coco"]).read_text()) == []


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"category_id": [1]}, r"category_id \[1\] is not in"),
        ({"category_id": True}, "category_id True is not in"),
        ({"image_id": True}, "image_id True is no integer"),
        ({"score": 10**400}, "score 10+, expected a number"),
        ({"score": float("nan")}, "score nan, expected a number"),
        ({"bbox": [0, 0, float("inf"), 1]}, "bbox .*, expected"),
        ({"segmentation": None}, "segmentation is no valid compressed"),
        ({"segmentation": {"size": [1, 1.0], "counts": "1"}}, "segmentation is no valid compressed"),
        ({"segmentation": {"size": [1, 1], "counts": [49]}}, "segmentation is no valid compressed"),
        ({"keypoints": None}, "keypoints must be a list"),
    ],
)
def test_a_hostile_entry_is_one_line(tmp_path, more, says):
    doc = scenes.document(np.random.RandomState(2), "segm")
    entry = {"image_id": 0, "category_id": doc["categories"][0]["id"], "score": 1} | more
    (tmp_path / "found.json").write_text(json.dumps([entry]))
    with pytest.raises(DataError, match=f"found.json: result 0: {says}") as caught:
        coco_files.read_coco_results(scenes.dataset(doc, TASKS), tmp_path / "found.json")
    assert "\n" not in str(caught.value)


def test_deep_json_is_one_line(tmp_path):
    (tmp_path / "found.json").write_text("[" * 10**6)
    data = scenes.dataset(scenes.document(np.random.RandomState(2), "segm"), TASKS)
    with pytest.raises(DataError, match="found.json: not valid JSON"):
        coco_files.read_coco_results(data, tmp_path / "found.json")
