"""Cityscapes' metrics from arrays equal its scripts' own way over files, to the last bit."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from tests.transfer.evaluation.cityscapes import oracle, scenes
from transfer.datasets.coco.rle import encode
from transfer.errors import DataError
from transfer.evaluation import folder as folders
from transfer.evaluation.evaluate import evaluate, read_predictions, write_predictions
from transfer.evaluation.prediction import Prediction

SCENES, CHUNKS = 40, 4
ORACLES = {"segm": oracle.instances, "sem_seg": oracle.semantic}


@pytest.mark.parametrize("chunk", range(CHUNKS))
@pytest.mark.parametrize("task", ORACLES)
def test_equals_the_script_over_files(tmp_path, task, chunk):
    between = 0
    for seed in range(chunk * SCENES // CHUNKS, (chunk + 1) * SCENES // CHUNKS):
        dataset, predictions = scenes.make(tmp_path / str(seed), seed, task == "sem_seg")
        got = evaluate(dataset, predictions)
        try:
            summary, per_class = ORACLES[task](dataset, predictions, tmp_path / str(seed) / "files")
        except IndexError:  # the script's own, see test_all_predictions_on_ground_that_is_not_judged
            continue
        np.testing.assert_equal(got.summary[task], summary, err_msg=str(seed))
        np.testing.assert_equal(got.per_class[task], per_class, err_msg=str(seed))
        between += sum(0 < v < 100 for v in summary.values()) == len(summary)
    assert between >= SCENES // CHUNKS * 0.7  # the scenes are neither empty nor perfect


@pytest.mark.parametrize("semantic", [False, True])
def test_polygons_in_the_place_of_maps(tmp_path, semantic):
    """A frame with polygons only scores as the maps that are drawn from them."""
    from transfer.datasets.cityscapes.polygons import draw_polygons
    from transfer.datasets.registry import load_dataset

    dataset, predictions = scenes.make(tmp_path, 1, semantic)
    folder = tmp_path / "cityscapes/gtFine/val/town"
    square = "[[5, 5], [60, 5], [60, 30], [5, 30]]"
    objects = [f'{{"label": "{label}", "polygon": {square}}}' for label in ("road", "car", "license plate")]
    size = f'"imgWidth": {scenes.WIDTH}, "imgHeight": {scenes.HEIGHT}'
    for frame in dataset.ground_truth:
        path = folder / f"{frame.image_id}_gtFine_polygons.json"
        path.write_text(f'{{{size}, "objects": [{", ".join(objects)}]}}')
        for kind, numbered in (("instanceIds", True), ("labelIds", False)):
            drawn = draw_polygons(str(path), numbered=numbered).astype(np.uint16)
            Image.fromarray(drawn).save(folder / f"{frame.image_id}_gtFine_{kind}.png")
    expected = evaluate(load_dataset(dataset.name, tmp_path), predictions)
    for path in folder.glob("*.png"):
        path.unlink()
    np.testing.assert_equal(evaluate(load_dataset(dataset.name, tmp_path), predictions), expected)


def test_all_predictions_on_ground_that_is_not_judged(tmp_path):
    """Nothing found is 0, where the script ends with an error."""
    dataset, _ = scenes.make(tmp_path, 4, semantic=False, images=1)
    (frame,) = dataset.ground_truth
    ids = np.zeros((scenes.HEIGHT, scenes.WIDTH), np.uint16)
    ids[5:25, 5:25] = 26000  # a car
    Image.fromarray(ids).save(frame.instance_ids)
    masks = encode((ids == 0)[None])
    predictions = [Prediction(frame.image_id, np.zeros((1, 4)), np.ones(1), np.array([2]), masks=masks)]
    with pytest.raises(IndexError):
        oracle.instances(dataset, predictions, tmp_path / "files")
    scores = evaluate(dataset, predictions)
    assert scores.summary == {"segm": {"AP": 0.0, "AP50": 0.0}}
    assert scores.per_class["segm"]["AP"]["car"] == 0.0
    assert np.isnan(scores.per_class["segm"]["AP"]["bus"])


def test_bad_maps_and_masks_are_named(tmp_path):
    dataset, predictions = scenes.make(tmp_path / "instances", 2, semantic=False)
    small = Prediction(
        predictions[0].image_id,
        np.zeros((1, 4)),
        np.ones(1),
        np.zeros(1, int),
        masks=[{"size": [2, 3], "counts": b"6"}],
    )
    with pytest.raises(DataError, match="a mask of 3x2; expected 80x48"):
        evaluate(dataset, [small])
    small.masks = [{"size": [48, 80], "counts": b"ab"}]
    with pytest.raises(DataError, match="a mask of 80x48 is no valid compressed"):
        evaluate(dataset, [small])
    Image.new("L", (80, 48), 99).save(dataset.ground_truth[0].instance_ids)
    with pytest.raises(DataError, match="id 99; expected a label 0..33"):
        evaluate(dataset, predictions)
    Image.fromarray(np.full((48, 80), 34_000, np.uint16)).save(dataset.ground_truth[0].instance_ids)
    with pytest.raises(DataError, match="id 34000; expected a label 0..33"):
        evaluate(dataset, predictions)
    dataset, predictions = scenes.make(tmp_path / "classes", 2, semantic=True)
    Image.new("L", (80, 48), 99).save(dataset.ground_truth[0].label_ids)
    with pytest.raises(DataError, match="label id 99"):
        evaluate(dataset, predictions)


def test_submission_files_wait_for_the_disk_once(tmp_path, monkeypatch):
    dataset, predictions = scenes.make(tmp_path, 3, semantic=False)
    synced = []
    monkeypatch.setattr(folders.os, "fsync", lambda handle: synced.append(handle))
    out = tmp_path / "out"
    write_predictions(dataset, predictions, out)
    write_predictions(dataset, predictions, out)  # over what is there
    assert len(synced) == 2
    files = sorted(p.name for p in out.iterdir())
    assert len(files) == len(predictions) + sum(map(len, predictions))
    np.testing.assert_equal(evaluate(dataset, read_predictions(dataset, out)), evaluate(dataset, predictions))
