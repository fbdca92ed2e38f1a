"""Result files are written a slice at a time and read as one list."""

from __future__ import annotations

import json

import numpy as np
import pytest

from tests.transfer.evaluation.coco import scenes
from transfer.datasets.coco.rle import as_text
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
