"""The picture beside the numbers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from transfer.datasets.class_maps import read_class_map
from transfer.datasets.registry import load_dataset
from transfer.datasets.synthetic.make import make_synthetic
from transfer.evaluation.picture import save_samples, tinted
from transfer.evaluation.prediction import Prediction


def test_classes_are_tinted_and_ignored_pixels_are_not() -> None:
    pixels = np.full((1, 3, 3), 100, np.uint8)
    found = tinted(pixels, np.array([[0, 1, 255]], np.uint8))
    np.testing.assert_array_equal(
        found[0], [[40, 40, 40], [116, 40, 40], [100, 100, 100]]
    )  # black, VOC's red


def test_class_maps_are_shown_below_their_truth(tmp_path: Path) -> None:
    make_synthetic(["voc_2012_sem_seg_val"], tmp_path, train_images=6, test_images=1, image_size=48)
    dataset = load_dataset("voc_2012_sem_seg_val", tmp_path)
    predictions = []
    for record in dataset.records:
        truth = read_class_map(record["sem_seg_file_name"])
        predictions.append(Prediction(record["image_id"], sem_seg=np.where(truth == 255, 0, truth)))
    made = []
    for name, shown in (("right", predictions), ("none", [])):
        save_samples(dataset, shown, tmp_path / f"{name}.png")
        with Image.open(tmp_path / f"{name}.png") as picture:
            made.append(np.asarray(picture.convert("RGB")).astype(int))
    colours = {tuple(colour) for colour in made[0].reshape(-1, 3)}
    assert len(colours) > 500
    assert made[0].shape == made[1].shape
    assert np.abs(made[0] - made[1]).max() > 50
