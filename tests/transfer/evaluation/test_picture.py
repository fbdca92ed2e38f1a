"""The picture beside the numbers: what is drawn, and where the file says that it stands."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from transfer.datasets.class_maps import read_class_map
from transfer.datasets.registry import load_dataset
from transfer.datasets.synthetic.make import make_synthetic
from transfer.evaluation.picture import COLUMNS, LINE, SIDE, save_samples, tinted
from transfer.evaluation.prediction import Prediction


def _read(path: Path) -> tuple[np.ndarray, list[dict[str, Any]]]:
    with Image.open(path) as picture:
        return np.asarray(picture.convert("RGB")).astype(int), json.loads(picture.text["tiles"])  # type: ignore[attr-defined]


def _cut(pixels: np.ndarray, tile: dict[str, Any]) -> np.ndarray:
    left, top, right, bottom = tile["box"]
    return pixels[top:bottom, left:right]


def test_classes_are_tinted_and_ignored_pixels_are_not() -> None:
    pixels = np.full((1, 3, 3), 100, np.uint8)
    found = tinted(pixels, np.array([[0, 1, 255]], np.uint8))
    np.testing.assert_array_equal(
        found[0], [[40, 40, 40], [116, 40, 40], [100, 100, 100]]
    )  # black, VOC's red


def test_class_maps_stand_beside_their_truth(tmp_path: Path) -> None:
    make_synthetic(["voc_2012_sem_seg_val"], tmp_path, train_images=6, test_images=1, image_size=48)
    dataset = load_dataset("voc_2012_sem_seg_val", tmp_path)
    predictions = []
    for record in dataset.records:
        truth = read_class_map(record["sem_seg_file_name"])
        predictions.append(Prediction(record["image_id"], sem_seg=np.where(truth == 255, 0, truth)))
    made = []
    for name, shown in (("right", predictions), ("none", [])):
        save_samples(dataset, shown, tmp_path / f"{name}.png")
        made.append(_read(tmp_path / f"{name}.png"))
    (right, tiles), (none, same) = made
    assert tiles == same
    assert [tile["what"] for tile in tiles[:2]] == ["truth", "prediction"]
    truth, guess = (_cut(right, tile) for tile in tiles[:2])
    assert len({tuple(colour) for colour in truth.reshape(-1, 3)}) > 100
    # a right prediction is the truth but for the ignored pixels; without one the image stays as it is
    assert (truth == guess).all(-1).mean() > 0.8
    assert np.abs(_cut(none, tiles[1]) - guess).max() > 50


class _Set:
    """As much of a data set as the picture needs: three images of a colour, an object in each."""

    name = "mine"
    metadata = {"thing_classes": ["raccoon"]}

    def __init__(self, folder: Path, size: tuple[int, int]) -> None:
        self.records = []
        for number in range(5):
            path = folder / f"{number}.png"
            Image.new("RGB", size, (40, 90, 140)).save(path)
            truth = {"bbox": [0.25 * size[0], 0.25 * size[1], 0.5 * size[0], 0.5 * size[1]]}
            self.records.append(
                {"image_id": "9" * 80 + str(number), "file_name": str(path), "annotations": [truth]}
            )


@pytest.mark.parametrize("size", [(640, 480), (60, 120)])
def test_boxes_and_their_names_stay_inside_the_image(tmp_path: Path, size: tuple[int, int]) -> None:
    """A name at the edge is moved, not cut off; a long id keeps its end, and neighbours stay apart."""
    dataset: Any = _Set(tmp_path, size)
    wide, high = size
    boxes = np.array([[0.8 * wide, 0, wide, 0.2 * high], [0, 0, 0.1 * wide, 0.1 * high]])
    predictions = [
        Prediction(record["image_id"], boxes=boxes, scores=np.array([0.9, 0.4]), classes=np.array([0, 0]))
        for record in dataset.records
    ]
    save_samples(dataset, predictions, tmp_path / "samples.png")
    pixels, tiles = _read(tmp_path / "samples.png")
    assert [tile["image"] for tile in tiles] == [record["image_id"] for record in dataset.records]
    assert {tile["what"] for tile in tiles} == {"prediction"}
    boxes_of = [tile["box"] for tile in tiles]
    assert boxes_of[COLUMNS][1] >= boxes_of[0][3] + LINE, "a name above each image of the second row"
    for tile in tiles:
        shown = _cut(pixels, tile)
        assert max(shown.shape[:2]) == SIDE
        red = (shown == (128, 0, 0)).all(-1)  # the first class, as VOC colours it
        assert red.any()
        assert red[:, : SIDE // 8].sum() < SIDE, "a score below the limit is not drawn"
        assert ((shown == 255).all(-1)).any(), "the truth, and the letters of the name"
    outside = pixels.copy()
    for left, top, right, bottom in boxes_of:
        outside[top:bottom, left:right] = 255
    assert (outside.min(-1) == outside.max(-1)).all(), "black letters alone stand between the images"
