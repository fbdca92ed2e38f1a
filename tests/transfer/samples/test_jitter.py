"""Large-scale jitter: by hand, and against Detectron2's transforms and mapper given the same draws."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.transfer.samples.outlined import HEIGHT, WIDTH, assert_masks, outlined_record
from transfer.recipes.resolve import load_recipe
from transfer.samples import jitter
from transfer.samples.detection import training_sample
from transfer.samples.jitter import jittered_view

TARGET = (128, 128)
KEYS: list[tuple[str, Any]] = [("MODEL.MASK_ON", True), ("INPUT.FORMAT", "RGB")]
# Flip, ratio, place of the window: smaller than the target, larger, and wide of it in one direction.
DRAWS = [(False, 0.3, 0.5), (True, 0.77, 0.2), (False, 1.6, 0.37), (True, 2.0, 0.93), (True, 1.01, 0.0)]


def _config() -> Any:
    cfg = load_recipe("coco_fpn_1x", KEYS)
    cfg.INPUT.CROP.ENABLED, cfg.INPUT.CROP.TYPE, cfg.INPUT.CROP.SIZE = True, "absolute", list(TARGET)
    cfg.INPUT.SCALE_RANGE = [0.1, 2.0]
    return cfg


@pytest.fixture(params=["polygons", "run lengths"])
def record(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, Any]:
    return outlined_record(tmp_path / "a.png", coded=request.param == "run lengths")


def test_an_image_is_fitted_into_the_scaled_box_and_cut() -> None:
    assert jittered_view((100, 200), (128, 128), False, 0.5, 0.9).new == (32, 64)
    large = jittered_view((100, 200), (128, 128), False, 2.0, 0.75)
    assert (large.whole, large.window, large.new) == ((128, 256), (0, 96), (128, 128))
    both = jittered_view((150, 200), (128, 128), False, 2.0, 0.5)
    assert (both.whole, both.window) == ((192, 256), (32, 64)), "one number says where, in both directions"


def test_points_follow_flip_scale_and_window() -> None:
    view = jittered_view((100, 200), (128, 128), True, 2.0, 0.75)
    np.testing.assert_allclose(view.points(np.array([[0.0, 0], [50, 100]])), [[160, 0], [96, 128]])
    np.testing.assert_allclose(view.boxes(np.array([[20.0, 0, 120, 100]])), [[6.4, 0, 128, 128]])


def test_a_cut_object_gets_the_box_around_what_is_left() -> None:
    """Detectron2's own example: the right half of a triangle is less high than the right half of its box."""
    triangle = [np.array([0.0, 0, 2, 0, 0, 2]) - [1, 0] * 3]
    left = jitter.cut([triangle, [np.array([-3.0, 0, -2, 0, -2, 1])]], (2, 1))
    assert left[1] == []
    np.testing.assert_allclose(jitter.outer_boxes(left), [[0, 0, 1, 1], [0, 0, 0, 0]])


def test_draws_are_uniform_and_a_function_of_the_generator() -> None:
    cfg = _config()
    views = [jitter.draw_view((HEIGHT, WIDTH), cfg, np.random.default_rng(i)) for i in range(400)]
    assert views == [jitter.draw_view((HEIGHT, WIDTH), cfg, np.random.default_rng(i)) for i in range(400)]
    assert 150 < sum(view.flipped for view in views) < 250
    ratios = np.array([(view.whole or (0, 0))[1] / TARGET[1] for view in views])
    assert (ratios.min(), ratios.max()) == pytest.approx((0.1, 2.0), abs=0.03)
    assert np.quantile(ratios, 0.5) == pytest.approx(1.05, abs=0.15)


def _detectron2s(record: dict[str, Any], draw: tuple[bool, float, float], monkeypatch: Any) -> Any:
    from detectron2.data import DatasetMapper
    from detectron2.data import transforms as T

    flipped, ratio, place = draw
    given = {(0.0, 1.0): place, (ratio, ratio): ratio}  # a flip of probability 0 or 1 takes any
    monkeypatch.setattr(np.random, "uniform", lambda low=0.0, high=1.0, size=None: given[low, high])
    coded = isinstance(record["annotations"][0]["segmentation"], dict)
    mapper = DatasetMapper(
        is_train=True,
        augmentations=[
            T.RandomFlip(prob=float(flipped)),
            T.ResizeScale(ratio, ratio, *TARGET),
            T.FixedSizeCrop(TARGET, pad=False),
        ],
        image_format="RGB",
        use_instance_mask=True,
        instance_mask_format="bitmask" if coded else "polygon",
        recompute_boxes=True,
    )
    return mapper(record)


@pytest.mark.detectron2
@pytest.mark.parametrize("draw", DRAWS)
def test_the_sample_is_detectron2s(
    record: dict[str, Any], draw: tuple[bool, float, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    if importlib.util.find_spec("detectron2") is None:
        pytest.skip("Detectron2 is not importable")
    flipped, ratio, place = draw
    monkeypatch.setattr(
        jitter,
        "draw_view",
        lambda old, cfg, rng: jittered_view(old, tuple(cfg.INPUT.CROP.SIZE), flipped, ratio, place),
    )
    ours = training_sample(record, _config(), {}, 0, 0, 0)
    theirs = _detectron2s(record, draw, monkeypatch)
    difference = np.abs(ours.image.numpy().astype(int) - theirs["image"].numpy().astype(int))
    assert difference.max() <= 2, "a window is resized by itself, and Pillow rounds twice"
    assert (difference > 1).mean() <= 1e-3
    wanted = theirs["instances"]
    assert ours.classes.tolist() == wanted.gt_classes.tolist()
    np.testing.assert_allclose(ours.boxes, wanted.gt_boxes.tensor, atol=1e-4)
    assert_masks(ours, wanted.gt_masks)
