"""Reading, resizing and flipping: against Detectron2's own mapper where it is importable, and by hand."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from transfer.errors import DataError
from transfer.recipes.resolve import load_recipe
from transfer.samples.detection import evaluation_sample, training_sample
from transfer.samples.sample import resized


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


def test_a_test_image_has_no_truth(record: dict[str, Any]) -> None:
    """Its boxes are the metric's to read; decoding them would cost time and serve nobody."""
    sample = evaluation_sample(record, load_recipe("coco_fpn_1x"))
    assert (sample.boxes.shape, sample.classes.shape, sample.polygons) == ((0, 4), (0,), None)
    assert (sample.boxes.dtype, sample.classes.dtype) == (torch.float32, torch.int64)


def test_unreadable_and_wrongly_sized_images_are_named(record: dict[str, Any], tmp_path: Path) -> None:
    cfg = load_recipe("voc_c4")
    with pytest.raises(DataError, match="the image is 90x60, its annotation says 91x60"):
        evaluation_sample(record | {"width": 91}, cfg)
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"\xff\xd8 no image")
    with pytest.raises(DataError, match=r"broken\.jpg: cannot be decoded"):
        evaluation_sample(record | {"file_name": str(broken)}, cfg)


# Mode of the file -> what its pixel (r, g, b) = (200, 100, 50), half transparent, becomes.
LUMINANCE = (200 * 19595 + 100 * 38470 + 50 * 7471 + 0x8000) >> 16  # Pillow's ITU-R 601-2, in whole numbers
MODES = {
    ("RGB", "PNG"): (200, 100, 50),
    ("RGBA", "PNG"): (200, 100, 50),  # transparency is ignored, the colour stays
    ("RGBA", "WEBP"): (200, 100, 50),
    ("RGBA", "TIFF"): (200, 100, 50),
    ("P", "PNG"): (200, 100, 50),
    ("P", "GIF"): (200, 100, 50),
    ("CMYK", "TIFF"): (200, 100, 50),
    ("L", "PNG"): (LUMINANCE,) * 3,
    ("LA", "PNG"): (LUMINANCE,) * 3,
    ("1", "PNG"): (255,) * 3,
}


def _file_of(mode: str, kind: str, path: Path) -> None:
    colour = Image.new("RGBA", (90, 60), (200, 100, 50, 128))
    options: dict[str, Any] = {"lossless": True} if kind == "WEBP" else {}
    if mode == "1":
        image = Image.new("1", (90, 60), 1)
    elif mode == "P":
        image = Image.new("P", (90, 60), 7)
        image.putpalette([0] * 21 + [200, 100, 50] + [0] * 744)
        options = {"transparency": 7}
    elif mode == "CMYK":
        image = colour.convert("RGB").convert("CMYK")
    else:
        image = colour.convert(mode)
    image.save(path, format=kind, **options)


@pytest.mark.parametrize(("mode", "kind"), MODES)
def test_every_mode_of_eight_bits_gives_its_colours(
    record: dict[str, Any], tmp_path: Path, mode: str, kind: str
) -> None:
    path = tmp_path / "image"
    _file_of(mode, kind, path)
    with Image.open(path) as image:
        assert image.mode == mode
    sample = evaluation_sample(
        record | {"file_name": str(path)},
        load_recipe("voc_c4", [("INPUT.FORMAT", "RGB"), ("INPUT.MIN_SIZE_TEST", 60)]),
    )
    assert sample.image.reshape(3, -1).unique(dim=1).flatten().tolist() == list(MODES[mode, kind])


def test_colour_of_16_bits_is_refused_too(record: dict[str, Any], tmp_path: Path) -> None:
    """Pillow keeps the high byte without a word: dark images from a camera of 12 bits."""
    path = tmp_path / "deep.png"
    cv2 = pytest.importorskip("cv2")
    assert cv2.imwrite(str(path), np.full((60, 90, 3), 3000, np.uint16))
    with pytest.raises(DataError, match="has 16 bits a channel"):
        evaluation_sample(record | {"file_name": str(path)}, load_recipe("voc_c4"))


@pytest.mark.parametrize(
    ("mode", "kind", "bits"),
    [("I;16", "PNG", 16), ("I;16", "TIFF", 16), ("I;16B", "TIFF", 16), ("I", "TIFF", 32), ("F", "TIFF", 32)],
)
def test_deep_channels_are_refused_and_never_clipped(
    record: dict[str, Any], tmp_path: Path, mode: str, kind: str, bits: int
) -> None:
    """Converted by Pillow, as in Detectron2, this image of 12 bits would be white."""
    path = tmp_path / "deep"
    Image.new(mode, (90, 60), 3000).save(path, format=kind)
    with pytest.raises(
        DataError, match=rf"deep: has {bits} bits a channel .*; expected 8: save 8-bit"
    ) as caught:
        evaluation_sample(record | {"file_name": str(path)}, load_recipe("voc_c4"))
    assert "\n" not in str(caught.value)


def test_a_decompression_bomb_is_named(
    record: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)  # Pillow refuses twice as many
    with pytest.raises(
        DataError, match=r"a\.png: cannot be decoded \(Image size \(5400 pixels\) exceeds"
    ) as caught:
        evaluation_sample(record, load_recipe("voc_c4"))
    assert "\n" not in str(caught.value)


@pytest.mark.detectron2
def test_equal_to_detectron2s_transforms(record: dict[str, Any], tmp_path: Path) -> None:
    if importlib.util.find_spec("detectron2") is None:
        pytest.skip("Detectron2 is not importable")
    from detectron2.data import detection_utils
    from detectron2.data import transforms as T

    for mode, kind in MODES:  # what is not refused is read as there
        _file_of(mode, kind, path := tmp_path / "image")
        ours = evaluation_sample(
            record | {"file_name": str(path)}, load_recipe("voc_c4", [("INPUT.MIN_SIZE_TEST", 60)])
        )
        theirs = detection_utils.read_image(str(path), format="BGR")
        np.testing.assert_array_equal(ours.image.numpy(), theirs.transpose(2, 0, 1))
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
        train = [("INPUT.MIN_SIZE_TRAIN", [size]), ("INPUT.RANDOM_FLIP", "none"), ("INPUT.FORMAT", format)]
        trained = training_sample(record, load_recipe("voc_c4", train), {}, 0, 0, 0)
        np.testing.assert_array_equal(trained.image, ours.image)
        np.testing.assert_allclose(trained.boxes, boxes, rtol=1e-6)
