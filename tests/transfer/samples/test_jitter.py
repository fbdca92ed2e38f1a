"""Large-scale jitter: by hand, and against Detectron2's transforms and mapper given the same draws."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask

from transfer.recipes.resolve import load_recipe
from transfer.samples import jitter
from transfer.samples.detection import training_sample
from transfer.samples.jitter import jittered_view

TARGET = (128, 128)
KEYS: list[tuple[str, Any]] = [("MODEL.MASK_ON", True), ("INPUT.FORMAT", "RGB")]
HEIGHT, WIDTH = 90, 140
# Flip, ratio, place of the window: smaller than the target, larger, and wide of it in one direction.
DRAWS = [(False, 0.3, 0.5), (True, 0.77, 0.2), (False, 1.6, 0.37), (True, 2.0, 0.93), (True, 1.01, 0.0)]


def _config() -> Any:
    cfg = load_recipe("coco_fpn_1x", KEYS)
    cfg.INPUT.CROP.ENABLED, cfg.INPUT.CROP.TYPE, cfg.INPUT.CROP.SIZE = True, "absolute", list(TARGET)
    cfg.INPUT.SCALE_RANGE = [0.1, 2.0]
    return cfg


def _objects() -> list[dict[str, Any]]:
    """A square, a concave outline, one of two pieces, one that crosses itself, and one in a corner."""
    outlines = [
        [[20.0, 10, 60, 10, 60, 50, 20, 50]],
        [[70.0, 5, 130, 5, 130, 80, 110, 80, 110, 25, 90, 25, 90, 80, 70, 80]],
        [[5.0, 60, 15, 60, 15, 85, 5, 85], [30.0, 60, 55, 70, 30, 85]],
        [[60.0, 55, 95, 85, 95, 55, 60, 85]],
        [[132.0, 84, 139, 84, 139, 89, 132, 89]],
    ]
    made = []
    for number, polygons in enumerate(outlines):
        points = np.concatenate([np.reshape(p, (-1, 2)) for p in polygons])
        made.append(
            {
                "bbox": [*points.min(axis=0), *points.max(axis=0)],
                "bbox_mode": 0,
                "category_id": number,
                "iscrowd": 0,
                "segmentation": polygons,
            }
        )
    return made


@pytest.fixture(params=["polygons", "run lengths"])
def record(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, Any]:
    rng = np.random.default_rng(0)
    small = Image.fromarray(rng.integers(0, 256, (18, 28, 3), dtype=np.uint8))
    small.resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC).save(tmp_path / "a.png")
    annotations = _objects()
    if request.param == "run lengths":
        for each in annotations:
            parts = mask.frPyObjects(each["segmentation"], HEIGHT, WIDTH)
            each["segmentation"] = mask.merge(parts)
    return {
        "file_name": str(tmp_path / "a.png"),
        "image_id": "a",
        "height": HEIGHT,
        "width": WIDTH,
        "annotations": annotations,
    }


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
    assert ours.polygons is not None
    for mine, other in zip(ours.polygons, _decoded(wanted, tuple(ours.image.shape[-2:])), strict=True):
        drawn = mask.decode(mine if isinstance(mine, dict) else _merged(mine, other.shape))
        assert (drawn.astype(bool) != other).mean() <= 1e-3


def _merged(polygons: Any, size: tuple[int, ...]) -> Any:
    return mask.merge(mask.frPyObjects([p.tolist() for p in polygons], *size))


def _decoded(instances: Any, size: tuple[int, ...]) -> list[np.ndarray]:
    masks = instances.gt_masks
    if hasattr(masks, "polygons"):
        return [mask.decode(_merged(polygons, size)).astype(bool) for polygons in masks.polygons]
    return list(masks.tensor.numpy())
