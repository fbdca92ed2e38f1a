"""Reading, resizing and flipping: against Detectron2's own mapper where it is importable, and by hand."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from transfer.config import load_recipe
from transfer.errors import DataError
from transfer.mapper import evaluation_sample, resized, training_sample


@pytest.fixture
def record(tmp_path: Path) -> dict[str, Any]:
    pixels = np.random.default_rng(0).integers(0, 256, (60, 90, 3), dtype=np.uint8)
    path = tmp_path / "a.png"
    Image.fromarray(pixels).save(path)
    boxes = [[10.0, 5.0, 40.0, 50.0], [0.0, 0.0, 90.0, 60.0]]
    annotations = [{"bbox": b, "bbox_mode": 0, "category_id": i, "iscrowd": 0} for i, b in enumerate(boxes)]
    return {"file_name": str(path), "image_id": "a", "height": 60, "width": 90, "annotations": annotations}


def test_the_shorter_side_meets_its_size_unless_the_longer_would_pass_the_limit() -> None:
    assert resized(60, 90, 30, 1333) == (30, 45)
    assert resized(90, 60, 30, 1333) == (45, 30)
    assert resized(100, 300, 100, 150) == (50, 150)
    assert resized(375, 500, 800, 1333) == (800, 1067)


@pytest.mark.parametrize("flip", [False, True])
def test_boxes_follow_the_pixels(record: dict[str, Any], flip: bool) -> None:
    cfg = load_recipe("voc_c4", [("INPUT.MIN_SIZE_TRAIN", [30]), ("INPUT.FORMAT", "RGB")])
    same = [training_sample(record, cfg, {}, 0, 0, i) for i in range(20)]
    flipped = [s for s in same if s.boxes[0, 0] != 5]
    chosen = flipped if flip else [s for s in same if s.boxes[0, 0] == 5]
    assert 3 < len(chosen) < 17, "a flip is a fair coin"
    wanted = [[25, 2.5, 40, 25], [0, 0, 45, 30]] if flip else [[5, 2.5, 20, 25], [0, 0, 45, 30]]
    np.testing.assert_allclose(chosen[0].boxes, wanted)
    plain = next(s for s in same if s.boxes[0, 0] == 5).image.numpy()
    np.testing.assert_array_equal(chosen[0].image.numpy(), plain[:, :, ::-1] if flip else plain)


def test_a_sample_is_a_function_of_seed_epoch_and_index(record: dict[str, Any]) -> None:
    cfg = load_recipe("voc_c4")
    shapes = {
        k: training_sample(record, cfg, {}, *k).image.shape
        for k in [(0, 0, 0), (0, 1, 0), (0, 0, 1), (1, 0, 0)]
    }
    assert len(set(shapes.values())) > 1
    assert all(training_sample(record, cfg, {}, *k).image.shape == shape for k, shape in shapes.items())


def test_bgr_reverses_the_channels(record: dict[str, Any]) -> None:
    rgb = evaluation_sample(record, load_recipe("voc_c4", [("INPUT.FORMAT", "RGB")])).image
    bgr = evaluation_sample(record, load_recipe("voc_c4", [("INPUT.FORMAT", "BGR")])).image
    np.testing.assert_array_equal(rgb.flip(0), bgr)


def test_unreadable_and_wrongly_sized_images_are_named(record: dict[str, Any], tmp_path: Path) -> None:
    cfg = load_recipe("voc_c4")
    with pytest.raises(DataError, match="the image is 90x60, its annotation says 91x60"):
        evaluation_sample(record | {"width": 91}, cfg)
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"\xff\xd8 no image")
    with pytest.raises(DataError, match=r"broken\.jpg: cannot be decoded"):
        evaluation_sample(record | {"file_name": str(broken)}, cfg)


@pytest.mark.detectron2
def test_equal_to_detectron2s_transforms(record: dict[str, Any]) -> None:
    if importlib.util.find_spec("detectron2") is None:
        pytest.skip("Detectron2 is not importable")
    from detectron2.data import detection_utils
    from detectron2.data import transforms as T

    for format, size in [("RGB", 37), ("BGR", 800), ("BGR", 111)]:
        cfg = load_recipe("voc_c4", [("INPUT.FORMAT", format), ("INPUT.MIN_SIZE_TEST", size)])
        ours = evaluation_sample(record, cfg)
        image = detection_utils.read_image(record["file_name"], format=format)
        image, transforms = T.apply_transform_gens([T.ResizeShortestEdge(size, 1333)], image)
        np.testing.assert_array_equal(ours.image.numpy(), image.transpose(2, 0, 1))
        boxes = [
            detection_utils.transform_instance_annotations(dict(a), transforms, image.shape[:2])["bbox"]
            for a in record["annotations"]
        ]
        np.testing.assert_allclose(ours.boxes, boxes, rtol=1e-6)
