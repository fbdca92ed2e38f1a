"""Masks and keypoints of a training sample: by hand, and against Detectron2's own transforms."""

from __future__ import annotations

import copy
import importlib.util
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask
from yacs.config import CfgNode

from transfer.datasets.coco.names import KEYPOINT_FLIP_MAP as FLIP_MAP
from transfer.datasets.coco.names import KEYPOINT_NAMES as NAMES
from transfer.errors import DataError
from transfer.recipes.resolve import load_recipe
from transfer.samples.detection import training_sample
from transfer.samples.loader import training_records
from transfer.samples.masks_and_keypoints import mirrored_keypoints
from transfer.samples.sample import Sample

HEIGHT, WIDTH = 60, 90
PEOPLE = {"keypoint_names": list(NAMES), "keypoint_flip_map": [list(pair) for pair in FLIP_MAP]}
# Nose seen, left eye hidden, right eye not labelled, left ear right of the image, right ear on its edge.
POINTS = [10, 20, 2, 12, 18, 1, 0.5, 0.5, 0, 95, 30, 2, 90, 60, 2] + [0.5, 0.5, 0] * 12


@pytest.fixture
def record(tmp_path: Path) -> dict[str, Any]:
    path = tmp_path / "a.png"
    Image.fromarray(np.zeros((HEIGHT, WIDTH, 3), np.uint8)).save(path)
    shape = {"bbox_mode": 0, "iscrowd": 0, "category_id": 0, "keypoints": POINTS}
    triangle, square = [10.0, 5, 40, 5, 10, 50], [20.5, 20, 30, 20, 30, 30, 20.5, 30]
    annotations = [
        shape | {"bbox": [10.0, 5.0, 40.0, 50.0], "segmentation": [triangle, square]},
        shape | {"bbox": [20.5, 20.0, 30.0, 30.0], "segmentation": [square], "category_id": 1},
        shape | {"bbox": [0.0, 0.0, 90.0, 60.0], "segmentation": _run_length(triangle), "iscrowd": 1},
    ]
    return {
        "file_name": str(path),
        "image_id": "a",
        "height": HEIGHT,
        "width": WIDTH,
        "annotations": annotations,
    }


def _run_length(polygon: list[float]) -> dict[str, Any]:
    return mask.merge(mask.frPyObjects([polygon], HEIGHT, WIDTH))


@cache
def _recipe(name: str, size: int = 30, *more: tuple[str, Any]) -> CfgNode:
    return load_recipe(name, [("INPUT.MIN_SIZE_TRAIN", [size]), *more])


def _pair(record: dict[str, Any], cfg: CfgNode, metadata: dict[str, Any]) -> tuple[Sample, Sample]:
    """The sample as it is and flipped; of the first object, x tells which is which."""
    drawn = [training_sample(record, cfg, metadata, 0, 0, i) for i in range(12)]
    drawn.sort(key=lambda sample: float(sample.boxes[0, 0]))
    assert drawn[0].boxes[0, 0] < drawn[-1].boxes[0, 0]
    return drawn[0], drawn[-1]


def test_polygons_follow_the_pixels(record: dict[str, Any]) -> None:
    plain, flipped = _pair(record, _recipe("coco_fpn_1x"), {})
    assert plain.polygons is not None
    assert flipped.polygons is not None
    assert plain.keypoints is None
    assert [len(shape) for shape in plain.polygons] == [2, 1], "the crowd is left out"
    np.testing.assert_allclose(plain.polygons[0][0], [5, 2.5, 20, 2.5, 5, 25])
    np.testing.assert_allclose(flipped.polygons[0][0], [40, 2.5, 25, 2.5, 40, 25])
    np.testing.assert_allclose(plain.polygons[1][0], [10.25, 10, 15, 10, 15, 15, 10.25, 15])
    assert plain.polygons[0][0].dtype == np.float64


def test_keypoints_follow_the_pixels_and_change_sides_in_the_mirror(record: dict[str, Any]) -> None:
    plain, flipped = _pair(record, _recipe("coco_keypoint"), PEOPLE)
    assert plain.keypoints is not None
    assert flipped.keypoints is not None
    assert plain.polygons is None
    assert plain.keypoints.shape == (2, 17, 3)
    nothing = [0, 0, 0]
    # The left ear lies outside, so it is not labelled any more; the right one on the edge is.
    np.testing.assert_allclose(plain.keypoints[0, :5], [[5, 10, 2], [6, 9, 1], nothing, nothing, [45, 30, 2]])
    np.testing.assert_allclose(
        flipped.keypoints[0, :5], [[40, 10, 2], nothing, [39, 9, 1], [0, 30, 2], nothing]
    )
    assert not plain.keypoints[:, 5:].any()


def test_mirrored_keypoints_are_partners() -> None:
    partner = mirrored_keypoints(PEOPLE)
    assert partner[0] == 0
    assert [partner[i] for i in partner] == list(range(17))
    assert all(NAMES[p] == n.replace("left", "RIGHT").replace("right", "left").replace("RIGHT", "right")
               for n, p in zip(NAMES, partner, strict=True))  # fmt: skip


def test_objects_without_a_box_or_a_mask_are_dropped_from_every_field(record: dict[str, Any]) -> None:
    first, second, crowd = record["annotations"]
    outside = second | {"bbox": [95.0, 5.0, 99.0, 9.0]}  # clipped, it has no width
    bare = second | {"segmentation": []}
    kept = record | {"annotations": [bare, first, outside, second, crowd]}
    cfg = _recipe("coco_fpn_1x", 60, ("MODEL.KEYPOINT_ON", True), ("INPUT.RANDOM_FLIP", "none"))
    sample = training_sample(kept, cfg, PEOPLE, 0, 0, 0)
    assert sample.classes.tolist() == [0, 1]
    assert sample.polygons is not None
    assert sample.keypoints is not None
    assert [len(shape) for shape in sample.polygons] == [2, 1]
    assert sample.keypoints.shape == (2, 17, 3)
    # A recipe without masks keeps the bare object.
    no_masks = _recipe("coco_keypoint", 60, ("INPUT.RANDOM_FLIP", "none"))
    assert training_sample(kept, no_masks, PEOPLE, 0, 0, 0).classes.tolist() == [1, 0, 1]


def test_an_image_with_a_run_length_mask_has_only_those(record: dict[str, Any]) -> None:
    """Detectron2's polygon format refuses such an object; it is trained on as in its bitmask format."""
    first, second, _ = record["annotations"]
    square = np.zeros((HEIGHT, WIDTH), np.uint8, order="F")
    square[20:30, 40:60] = 1
    second = second | {"segmentation": mask.encode(square), "bbox": [40.0, 20.0, 60.0, 30.0]}
    empty = second | {"segmentation": mask.encode(np.zeros_like(square, order="F"))}
    mixed = record | {"annotations": [first, empty, second]}
    plain, flipped = _pair(mixed, _recipe("coco_fpn_1x"), {})
    assert plain.polygons is not None
    assert flipped.polygons is not None
    assert len(plain.boxes) == len(plain.polygons) == 2, "no pixel, no object"
    whole = [mask.decode(shape) for shape in plain.polygons]
    wanted = mask.merge(
        mask.frPyObjects([[5, 2.5, 20, 2.5, 5, 25], [10.25, 10, 15, 10, 15, 15, 10.25, 15]], 30, 45)
    )
    np.testing.assert_array_equal(whole[0], mask.decode(wanted))
    np.testing.assert_array_equal(np.argwhere(whole[1])[[0, -1]], [[10, 20], [14, 29]])
    assert whole[1].sum() == 5 * 10
    np.testing.assert_array_equal(mask.decode(flipped.polygons[1]), whole[1][:, ::-1])


def test_a_box_recipe_pays_nothing(record: dict[str, Any]) -> None:
    for annotation in record["annotations"]:
        del annotation["segmentation"], annotation["keypoints"]
    sample = training_sample(record, _recipe("voc_c4"), {}, 0, 0, 0)
    assert sample.polygons is None
    assert sample.keypoints is None
    with pytest.raises(DataError, match=r"a\.png: an object has no segmentation, which MODEL\.MASK_ON needs"):
        training_sample(record, _recipe("coco_fpn_1x"), {}, 0, 0, 0)
    with pytest.raises(DataError, match="an object has no keypoints"):
        training_sample(record, _recipe("coco_keypoint"), PEOPLE, 0, 0, 0)


def test_keypoint_recipes_train_on_images_with_enough_keypoints(record: dict[str, Any]) -> None:
    first, second, crowd = record["annotations"]
    unlabelled = [0.0] * 51
    blind = record | {"annotations": [first | {"keypoints": unlabelled}]}
    of_crowd = record | {"annotations": [second | {"keypoints": unlabelled}, crowd]}
    only_crowd = record | {"annotations": [crowd]}
    records = [blind, record, of_crowd, only_crowd]
    assert list(training_records(records, _recipe("coco_keypoint"))) == [record, of_crowd]
    key = "MODEL.ROI_KEYPOINT_HEAD.MIN_KEYPOINTS_PER_IMAGE"  # the crowd has 4, all three together 12
    assert list(training_records(records, _recipe("coco_keypoint", 30, (key, 5)))) == [record]
    assert list(training_records(records, _recipe("coco_fpn_1x"))) == [blind, record, of_crowd]
    with pytest.raises(
        DataError, match="no image to train on, or none has an object and 13 labelled keypoints"
    ):
        training_records(records, _recipe("coco_keypoint", 30, (key, 13)))


@pytest.mark.detectron2
@pytest.mark.parametrize("run_lengths", [False, True])
def test_equal_to_detectron2s_mapper(record: dict[str, Any], run_lengths: bool) -> None:
    """Except that polygons of whole numbers stay exact; Detectron2 cuts the moved ones to whole pixels."""
    if importlib.util.find_spec("detectron2") is None:
        pytest.skip("Detectron2 is not importable")
    from detectron2.data import detection_utils
    from detectron2.data import transforms as T

    if run_lengths:
        segmentation = record["annotations"][1]["segmentation"][0]
        record["annotations"][1]["segmentation"] = _run_length(segmentation)
    cfg = _recipe("coco_fpn_1x", 47, ("MODEL.KEYPOINT_ON", True))
    for number, sample in enumerate(_pair(record, cfg, PEOPLE)):
        steps = [T.ResizeTransform(HEIGHT, WIDTH, *sample.image.shape[1:])]
        if number:
            steps.append(T.HFlipTransform(sample.image.shape[2]))
        size = tuple(sample.image.shape[1:])
        moved = [
            detection_utils.transform_instance_annotations(
                copy.deepcopy(a), T.TransformList(steps), size,
                keypoint_hflip_indices=mirrored_keypoints(PEOPLE),
            )
            for a in record["annotations"] if not a["iscrowd"]
        ]  # fmt: skip
        wanted = detection_utils.annotations_to_instances(
            moved, size, "bitmask" if run_lengths else "polygon"
        )
        wanted = detection_utils.filter_empty_instances(wanted)
        np.testing.assert_array_equal(sample.boxes, wanted.gt_boxes.tensor)
        np.testing.assert_array_equal(sample.classes, wanted.gt_classes)
        np.testing.assert_array_equal(sample.keypoints, wanted.gt_keypoints.tensor)
        assert sample.polygons is not None
        for ours, theirs in zip(sample.polygons, wanted.gt_masks, strict=True):
            if run_lengths:
                np.testing.assert_array_equal(mask.decode(ours), theirs)
            else:
                for mine, polygon in zip(ours, theirs, strict=True):
                    np.testing.assert_array_equal(mine, polygon)
