"""Scaling, cropping and flipping of images with their class maps: by hand, and against the long way round."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from transfer.errors import DataError, TransferError
from transfer.recipes.resolve import load_recipe
from transfer.samples.class_maps import semantic_evaluation_sample, semantic_training_sample
from transfer.samples.sample import Sample

METADATA = {"sem_seg_encoding": "index"}


def _record(folder: Path, pixels: np.ndarray, classes: np.ndarray) -> dict[str, Any]:
    Image.fromarray(pixels).save(folder / "image.png")
    mask = Image.fromarray(classes)
    mask.putpalette([255 - i // 3 for i in range(768)])  # indices are not brightnesses
    mask.save(folder / "mask.png")
    height, width = classes.shape
    return {
        "file_name": str(folder / "image.png"),
        "sem_seg_file_name": str(folder / "mask.png"),
        "image_id": "a",
        "height": height,
        "width": width,
        "annotations": [],
    }


@pytest.fixture
def record(tmp_path: Path) -> dict[str, Any]:
    rng = np.random.default_rng(0)
    classes = rng.integers(0, 21, (41, 57), dtype=np.uint8)
    classes[rng.random(classes.shape) < 0.1] = 255
    return _record(tmp_path, rng.integers(0, 256, (41, 57, 3), dtype=np.uint8), classes)


def _cfg(scale: list[float], crop: list[int], *more: tuple[str, Any]) -> Any:
    keys = [("INPUT.SCALE_RANGE", scale), ("INPUT.CROP.SIZE", crop), ("INPUT.FORMAT", "RGB")]
    return load_recipe("voc_semantic", [*keys, *more])


def _sample(record: dict[str, Any], cfg: Any, seed: int = 0, epoch: int = 0, index: int = 0) -> Sample:
    return semantic_training_sample(record, cfg, METADATA, seed, epoch, index)


def test_a_doubled_image_by_hand(tmp_path: Path) -> None:
    grey = np.array([[0, 100], [0, 100]], np.uint8)
    record = _record(tmp_path, np.stack([grey] * 3, 2), np.array([[0, 1], [2, 255]], np.uint8))
    sample = _sample(record, _cfg([2, 2], [5, 6], ("INPUT.RANDOM_FLIP", "none")))
    assert sample.class_map is not None
    # the image ends where it ends; its class map is filled up to the crop
    np.testing.assert_array_equal(sample.image.numpy(), np.tile([0, 25, 75, 100], (3, 4, 1)))
    np.testing.assert_array_equal(
        sample.class_map.numpy(),
        [
            [0, 0, 1, 1, 255, 255],
            [0, 0, 1, 1, 255, 255],
            [2, 2, 255, 255, 255, 255],
            [2, 2, 255, 255, 255, 255],
            [255, 255, 255, 255, 255, 255],
        ],
    )


@pytest.mark.parametrize("ratio", [0.5, 1.0, 1.37, 2.0])
def test_equal_to_resizing_the_whole_and_cropping_it(record: dict[str, Any], ratio: float) -> None:
    """Image and labels must come from one and the same window of one and the same flip."""
    crop = (24, 24)
    cfg = _cfg([ratio, ratio], list(crop))  # odd sides: no resized pixel lies on the edge of two labels
    size = (int(41 * ratio + 0.5), int(57 * ratio + 0.5))
    with Image.open(record["file_name"]) as image, Image.open(record["sem_seg_file_name"]) as mask:
        pixels = np.asarray(image.resize(size[::-1], Image.Resampling.BILINEAR))
        classes = np.asarray(Image.fromarray(np.array(mask)).resize(size[::-1], Image.Resampling.NEAREST))
    found = set()
    for index in range(40):
        sample = _sample(record, cfg, index=index)
        assert sample.class_map is not None
        height, width = sample.image.shape[1:]
        assert (height, width) == (min(24, size[0]), min(24, size[1]))
        assert sample.class_map.shape == crop
        assert (sample.class_map[height:] == 255).all()
        assert (sample.class_map[:, width:] == 255).all()
        kept = sample.class_map.numpy()[:height, :width]
        windows = [
            (top, left, step)
            for top in range(size[0] - height + 1)
            for left in range(size[1] - width + 1)
            for step in (1, -1)
            if np.array_equal(classes[top : top + height, left : left + width][:, ::step], kept)
        ]
        assert len(windows) == 1, "nearest-neighbour labels of one window"
        top, left, step = windows[0]
        wanted = pixels[top : top + height, left : left + width][:, ::step].transpose(2, 0, 1)
        # Pillow keeps the window in single precision: here and there a value rounds the other way
        np.testing.assert_allclose(sample.image.numpy().astype(int), wanted, rtol=0, atol=1)
        assert (sample.image.numpy() == wanted).mean() > 0.95
        found.add(windows[0])
    assert {step for *_, step in found} == {1, -1}
    for axis, side in enumerate(size):  # the windows reach both ends
        places = [window[axis] for window in found]
        assert min(places) <= 0.2 * (side - 24) or side <= 24
        assert max(places) >= 0.8 * (side - 24)


def test_a_sample_is_a_function_of_seed_epoch_and_index(record: dict[str, Any]) -> None:
    cfg = _cfg([0.5, 2.0], [24, 24])
    keys = [(0, 0, 0), (0, 1, 0), (0, 0, 1), (1, 0, 0)]
    made = {k: _sample(record, cfg, *k) for k in keys}
    sums = {int(s.image.long().sum()) for s in made.values()}
    assert len(sums) == 4
    for key, sample in made.items():
        again = _sample(record, cfg, *key)
        assert (again.image == sample.image).all()
        assert again.class_map is not None
        assert (again.class_map == sample.class_map).all()


def test_the_scale_is_uniform_in_its_range(record: dict[str, Any]) -> None:
    """A crop that is never reached shows the ratio as the size of the image."""
    cfg = _cfg([0.5, 2.0], [100, 200])
    ratios = np.array([_sample(record, cfg, index=i).image.shape[2] / 57 for i in range(300)])
    assert ratios.min() < 0.55
    assert ratios.max() > 1.95
    assert abs(ratios.mean() - 1.25) < 4 * 1.5 / 12**0.5 / 300**0.5


def test_test_images_keep_their_size_unless_the_recipe_says_otherwise(record: dict[str, Any]) -> None:
    with Image.open(record["file_name"]) as image:
        pixels = np.asarray(image).transpose(2, 0, 1)
    sample = semantic_evaluation_sample(record, _cfg([1, 1], [8, 8]))
    np.testing.assert_array_equal(sample.image.numpy(), pixels)
    assert sample.class_map is None
    small = semantic_evaluation_sample(record, _cfg([1, 1], [8, 8], ("INPUT.MIN_SIZE_TEST", 20)))
    assert small.image.shape == (3, 20, 28)
    assert (small.height, small.width) == (41, 57)
    bgr = semantic_evaluation_sample(record, _cfg([1, 1], [8, 8], ("INPUT.FORMAT", "BGR")))
    np.testing.assert_array_equal(bgr.image.numpy(), pixels[::-1])


def test_the_scale_may_be_of_the_shorter_side(record: dict[str, Any]) -> None:
    """mmsegmentation's and DINOv3's: 41 x 57 pixels, their shorter side to 20 times the ratio."""
    keys = [("INPUT.SCALE_OF", "shortest"), ("INPUT.MIN_SIZE_TRAIN", [20])]
    sample = _sample(record, _cfg([1.5, 1.5], [99, 99], *keys))
    assert sample.image.shape == (3, 30, 42)  # 57 * 30 / 41 = 41.7
    limited = _sample(record, _cfg([1.5, 1.5], [99, 99], *keys, ("INPUT.MAX_SIZE_TRAIN", 21)))
    assert limited.image.shape == (3, 15, 21)
    with pytest.raises(TransferError, match=r"MIN_SIZE_TRAIN is \[20, 30\]; expected one side"):
        _cfg([1, 1], [8, 8], keys[0], ("INPUT.MIN_SIZE_TRAIN", [20, 30]))


def test_a_crop_that_one_class_fills_is_drawn_again(tmp_path: Path) -> None:
    """A narrow strip of class 1 in a wide field of class 0: crops without it are the rule."""
    classes = np.zeros((8, 200), np.uint8)
    classes[:, 90:110] = 1
    classes[:, 95] = 255
    record = _record(tmp_path, np.zeros((8, 200, 3), np.uint8), classes)

    def mixed(*more: tuple[str, Any]) -> int:
        cfg = _cfg([1, 1], [8, 30], *more)
        maps = [_sample(record, cfg, index=index).class_map for index in range(200)]
        shares = [float((m == 0).sum()) / float((m != 255).sum()) for m in maps if m is not None]
        return sum(0.25 < share < 0.75 for share in shares)

    often = mixed(("INPUT.CROP.SINGLE_CATEGORY_MAX_AREA", 0.75))
    assert mixed() < 60
    assert often > 130


def test_colours_change_and_their_labels_do_not(record: dict[str, Any]) -> None:
    plain = _sample(record, _cfg([1, 1], [24, 24]), index=3)
    coloured = _sample(record, _cfg([1, 1], [24, 24], ("INPUT.COLOR_AUG_SSD", True)), index=3)
    assert plain.class_map is not None
    assert coloured.class_map is not None
    assert bool((plain.class_map == coloured.class_map).all())
    assert not bool((plain.image == coloured.image).all())
    again = _sample(record, _cfg([1, 1], [24, 24], ("INPUT.COLOR_AUG_SSD", True)), index=3)
    assert bool((again.image == coloured.image).all())


def test_masks_that_do_not_belong_are_named(record: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"mask\.png: class 20; the recipe has .*NUM_CLASSES 19"):
        _sample(record, _cfg([1, 1], [8, 8], ("MODEL.SEM_SEG_HEAD.NUM_CLASSES", 19)))
    Image.fromarray(np.zeros((41, 55), np.uint8)).save(tmp_path / "mask.png")
    with pytest.raises(DataError, match=r"mask\.png: the mask is 55x41, its image 57x41"):
        _sample(record, _cfg([1, 1], [8, 8]))


@pytest.mark.parametrize(
    ("key", "value"),
    [("INPUT.SCALE_RANGE", [2.0, 0.5]), ("INPUT.SCALE_RANGE", []), ("INPUT.CROP.SIZE", [0.9, 0.9])],
)
def test_crops_that_cannot_be_made_are_refused(key: str, value: list[float]) -> None:
    with pytest.raises(TransferError, match=r"expected \[low, high\] ratios and \[height, width\]"):
        load_recipe("voc_semantic", [(key, value)])
