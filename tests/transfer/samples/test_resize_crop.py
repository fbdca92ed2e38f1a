"""Crops between two resizes: step by step with Pillow, against Detectron2's transforms, and by properties."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.transfer.samples.outlined import HEIGHT, WIDTH, assert_masks, drawn, outlined_record
from transfer.errors import TransferError
from transfer.process.draws import augmentation_generator
from transfer.recipes.resolve import load_recipe
from transfer.samples import resize_crop
from transfer.samples.detection import training_sample
from transfer.samples.view import View

SIDES, BEFORE, CROP, LONGEST = [72, 96, 128], [80, 100], [48, 90], 180
KEYS: list[tuple[str, Any]] = [
    ("INPUT.MIN_SIZE_TRAIN", SIDES),
    ("INPUT.MAX_SIZE_TRAIN", LONGEST),
    ("INPUT.CROP.MIN_SIZE_BEFORE", BEFORE),
    ("INPUT.CROP.SIZE", CROP),
    ("INPUT.FORMAT", "RGB"),
]
METADATA = {"keypoint_names": ["nose", "left", "right"], "keypoint_flip_map": [["left", "right"]]}


def _config() -> Any:
    cfg = load_recipe("coco_swin_t_3x", KEYS)
    cfg.MODEL.KEYPOINT_ON = True  # no recipe of these has such a head; the sample does not mind
    return cfg


def _draw(cfg: Any, index: int, size: tuple[int, int] = (HEIGHT, WIDTH)) -> View:
    return resize_crop.draw_view(size, cfg, augmentation_generator(0, 0, index))


@pytest.fixture(params=["polygons", "run lengths"])
def record(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, Any]:
    made = outlined_record(tmp_path / "a.png", coded=request.param == "run lengths")
    for each in made["annotations"]:
        left, top, right, bottom = each["bbox"]
        each["keypoints"] = [left + 1, top + 2, 2, (left + right) / 2, top + 1, 1, right - 1, bottom - 1, 2]
    return made


def _stepwise(record: dict[str, Any], view: View) -> tuple[Any, list[np.ndarray], list[Any]]:
    """Pixels, masks and keypoints by Pillow, a step at a time: the slow way."""
    flip = [lambda image, how: image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)] if view.flipped else []
    steps = [lambda image, how: image.resize(view.new[::-1], how), *flip]  # as without any crop
    if view.part is not None:
        assert view.whole is not None
        assert view.window is not None
        (top, left), (height, width), whole = view.window, view.part, view.whole
        steps = [
            *flip,
            lambda image, how: image.resize(whole[::-1], how),
            lambda image, how: image.crop((left, top, left + width, top + height)),
            steps[0],
        ]

    def moved(image: Image.Image, how: Image.Resampling) -> np.ndarray:
        for step in steps:
            image = step(image, how)
        return np.asarray(image)

    pixels = moved(Image.open(record["file_name"]), Image.Resampling.BILINEAR).astype(int)
    masks, keypoints = [], []
    for each in record["annotations"]:
        bitmap = drawn(each["segmentation"], (HEIGHT, WIDTH))
        masks.append(moved(Image.fromarray(bitmap.astype(np.uint8)), Image.Resampling.NEAREST) > 0)
        keypoints.append([_point(view, *each["keypoints"][k : k + 3]) for k in (0, 3, 6)])
    return pixels, masks, keypoints


def _point(view: View, x: float, y: float, visible: int) -> tuple[float, float, int]:
    x = WIDTH - x if view.flipped else x
    if view.part is not None:
        assert view.whole is not None
        assert view.window is not None
        x, y = x / WIDTH * view.whole[1] - view.window[1], y / HEIGHT * view.whole[0] - view.window[0]
        x, y = x / view.part[1] * view.new[1], y / view.part[0] * view.new[0]
    else:
        x, y = x / WIDTH * view.new[1], y / HEIGHT * view.new[0]
    inside = 0 <= x <= view.new[1] and 0 <= y <= view.new[0]
    return (x, y, visible) if inside else (0, 0, 0)


@pytest.mark.parametrize("index", range(8))
def test_a_sample_is_what_pillow_makes_step_by_step(record: dict[str, Any], index: int) -> None:
    cfg = _config()
    view = _draw(cfg, index)
    ours = training_sample(record, cfg, METADATA, 0, 0, index)
    pixels, masks, keypoints = _stepwise(record, view)
    difference = np.abs(ours.image.numpy().transpose(1, 2, 0).astype(int) - pixels)
    assert difference.max() <= 3, "a window is resized by itself, and Pillow rounds twice"
    assert (difference > 1).mean() <= 2e-3
    assert ours.polygons is not None
    assert ours.keypoints is not None
    size = tuple(ours.image.shape[-2:])
    found = zip(ours.polygons, ours.classes, ours.boxes, ours.keypoints, strict=True)
    for mine, number, box, points in found:
        # A polygon is drawn anew at the new size, so its border is not that of the resized pixels.
        tolerance = 0 if isinstance(mine, dict) else 0.06
        assert (drawn(mine, size) != masks[number]).mean() <= tolerance
        wanted = keypoints[number]
        wanted = [wanted[k] for k in (0, 2, 1)] if view.flipped else wanted
        np.testing.assert_allclose(points, wanted, atol=1e-4)
        rows, columns = np.nonzero(masks[number])
        inner = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
        zoom = max(size[0] / HEIGHT, size[1] / WIDTH, 2) + 1
        assert (box[:2].numpy() <= np.add(inner[:2], zoom)).all(), "a box is around all that is seen"
        assert (box[2:].numpy() >= np.subtract(inner[2:], zoom)).all()
    seen = {n for n, bitmap in enumerate(masks) if bitmap.sum() > 4}
    assert seen <= set(ours.classes.tolist()), "what is seen is trained on"


def test_draws_are_what_the_recipe_says_and_a_function_of_the_index() -> None:
    cfg = _config()
    views = [_draw(cfg, index) for index in range(600)]
    assert views == [_draw(cfg, index) for index in range(600)]
    cropped = [view for view in views if view.part is not None]
    assert 240 < len(cropped) < 360, "half of the images"
    assert 240 < sum(view.flipped for view in views) < 360
    whole = {min(view.new) for view in views if view.part is None}
    assert whole == set(SIDES) - {128} | {116}, "180 / 140 * 90"
    assert {min(view.whole or ()) for view in cropped} == set(BEFORE)
    heights, widths = zip(*(view.part or () for view in cropped), strict=True)
    assert (min(heights), max(heights), min(widths), max(widths)) == (48, 90, 48, 90)
    assert 64 < np.mean(widths) < 74
    for view in cropped:
        assert view.whole is not None
        assert view.window is not None
        assert view.part is not None
        ends = np.add(view.window, view.part)
        assert (np.array(view.window) >= 0).all()
        assert (ends <= view.whole).all()
        assert min(view.new) in SIDES or max(view.new) == LONGEST
        assert abs(view.new[0] / view.new[1] - view.part[0] / view.part[1]) < 0.03, "a window keeps its shape"
    assert len({view.window for view in cropped}) > 200


def test_a_small_image_is_cropped_to_no_less_than_it_has() -> None:
    """A side below the lowest stays whole, as Detectron2's `absolute_range` has it."""
    cfg = _config()
    cfg.INPUT.CROP.MIN_SIZE_BEFORE = [40]
    parts = {view.part for view in (_draw(cfg, i, (30, 120)) for i in range(80)) if view.part}
    assert {height for height, _ in parts} == {40}
    assert min(width for _, width in parts) >= 48


@pytest.mark.detectron2
@pytest.mark.parametrize("index", range(8))
def test_the_sample_is_detectron2s(record: dict[str, Any], index: int) -> None:
    if importlib.util.find_spec("detectron2") is None:
        pytest.skip("Detectron2 is not importable")
    from detectron2.data import DatasetMapper
    from detectron2.data import transforms as T

    cfg = _config()
    view = _draw(cfg, index)
    flip = T.RandomFlip(prob=float(view.flipped))
    augmentations: list[Any] = []
    if view.part is not None:
        assert view.whole is not None
        assert view.window is not None
        (top, left), (height, width) = view.window, view.part
        augmentations = [
            flip,
            T.ResizeShortestEdge([min(view.whole)], LONGEST, "choice"),
            T.CropTransform(left, top, width, height, view.whole[1], view.whole[0]),
        ]
    # Where the longest side decides, the shorter one may be any that is too long.
    side = min(view.new) if max(view.new) < LONGEST else max(SIDES)
    augmentations.append(T.ResizeShortestEdge([side], LONGEST, "choice"))
    augmentations += [flip] if view.part is None else []  # as without any crop
    coded = isinstance(record["annotations"][0]["segmentation"], dict)
    mapper = DatasetMapper(
        is_train=True,
        augmentations=augmentations,
        image_format="RGB",
        use_instance_mask=True,
        instance_mask_format="bitmask" if coded else "polygon",
    )
    theirs = mapper(record)
    cfg.MODEL.KEYPOINT_ON = False
    ours = training_sample(record, cfg, METADATA, 0, 0, index)
    difference = np.abs(ours.image.numpy().astype(int) - theirs["image"].numpy().astype(int))
    assert difference.max() <= 3
    assert (difference > 1).mean() <= 2e-3
    wanted = theirs["instances"]
    assert ours.classes.tolist() == wanted.gt_classes.tolist()
    np.testing.assert_allclose(ours.boxes, wanted.gt_boxes.tensor, atol=1e-4)
    assert_masks(ours, wanted.gt_masks)


BAD = [
    ("coco_swin_t_3x", "INPUT.CROP.MIN_SIZE_BEFORE", "[]", "expected shorter sides before"),
    ("coco_swin_t_3x", "INPUT.CROP.SIZE", "[600, 384]", "expected the lowest and the highest side"),
    ("coco_swin_t_3x", "INPUT.CROP.SIZE", "[0.5, 0.9]", "expected the lowest and the highest side"),
    ("coco_swin_t_3x", "INPUT.SCALE_RANGE", "[0.5, 2.0]", r"expected \[\] with a crop of absolute_range"),
    ("coco_swin_t_3x", "INPUT.CROP.ENABLED", "False", r"MIN_SIZE_BEFORE is \[400, 500, 600\]; expected \[\]"),
    ("coco_vitdet_b", "INPUT.CROP.MIN_SIZE_BEFORE", "[400]", r"MIN_SIZE_BEFORE is \[400\]; expected \[\]"),
    (
        "voc_semantic",
        "INPUT.CROP.TYPE",
        "absolute_range",
        "is 'absolute_range'; the engines honour 'absolute'",
    ),
]


@pytest.mark.parametrize(("recipe", "key", "value", "message"), BAD)
def test_a_crop_that_is_half_said_is_refused(recipe: str, key: str, value: str, message: str) -> None:
    with pytest.raises(TransferError, match=message) as refused:
        load_recipe(recipe, [(key, value)])
    assert "\n" not in str(refused.value)
