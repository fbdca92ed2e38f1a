"""The parts of a training set: disjoint, alike everywhere, and scored as if nothing else had been there."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from transfer.datasets.base import Dataset
from transfer.datasets.cityscapes.frame import instance_map, instances
from transfer.datasets.class_maps import read_class_map
from transfer.datasets.coco.reader import CocoTruth
from transfer.datasets.own_file import own_dataset
from transfer.datasets.registry import load_dataset
from transfer.datasets.split import FIT, HOLD, held_out, part_of, split_name
from transfer.datasets.synthetic.make import make_synthetic
from transfer.errors import DataError
from transfer.evaluation.evaluate import evaluate
from transfer.evaluation.prediction import Prediction

KINDS = (
    *("voc_2007_trainval", "coco_2017_train", "keypoints_coco_2017_train", "densepose_coco_2014_train"),
    *("lvis_v0.5_train", "cityscapes_fine_instance_seg_train", "cityscapes_fine_sem_seg_train"),
    "voc_2012_sem_seg_train",
)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Generated data of every kind."""
    root = tmp_path_factory.mktemp("kinds")
    make_synthetic(KINDS, root, train_images=24, test_images=4, image_size=64)
    return root


def test_a_fifth_is_held_out_by_the_file_name_alone() -> None:
    names = [f"{n:012d}.jpg" for n in range(10_000)]
    slow = [int(hashlib.sha256(name.encode()).hexdigest(), 16) % 5 == 0 for name in names]
    assert held_out(names).tolist() == slow
    assert 1_900 < sum(slow) < 2_100
    assert held_out([f"/elsewhere/{name}" for name in names]).tolist() == slow
    assert split_name("a@fit") == ("a", "fit")
    assert split_name("a@b@hold") == ("a@b", "hold")
    assert split_name("a@other") == ("a@other", "")


@pytest.mark.parametrize("name", KINDS)
def test_parts_are_disjoint_and_make_the_whole(name: str, root: Path) -> None:
    whole, fit, hold = (load_dataset(f"{name}{part}", root) for part in ("", "@fit", "@hold"))
    ids = [{record["image_id"] for record in dataset.records} for dataset in (whole, fit, hold)]
    assert ids[1] | ids[2] == ids[0]
    assert not ids[1] & ids[2]
    assert min(map(len, ids)) > 0
    for part in (fit, hold):
        by_id = {record["image_id"]: record for record in whole.records}
        assert all(record == by_id[record["image_id"]] for record in part.records)
        assert part.summary["images"] == len(part.records)
        assert part.summary["part_of"]["images"] == len(whole.records)
        _check_truth(part, whole)
    assert len({d.summary["sha256"] for d in (whole, fit, hold)}) == 3
    planned = part_of(whole, HOLD)  # a plan reads the whole once
    assert (planned.name, planned.summary) == (hold.name, hold.summary)


def _check_truth(part: Dataset[Any], whole: Dataset[Any]) -> None:
    """The truth that a metric scores by is that of the part's images, one by one."""
    truth, everything = part.ground_truth, whole.ground_truth
    ids = [record["image_id"] for record in part.records]
    if isinstance(truth, list):
        assert [frame.image_id for frame in truth] == ids
    if not isinstance(truth, CocoTruth):
        return
    assert truth.images.ids.tolist() == ids
    expected = [n for n, row in enumerate(everything.table.rows) if row["image_id"] in ids]
    assert len(expected) == len(truth.table) == part.summary["objects"] > 0
    for new, old in enumerate(expected):
        assert truth.table.rows[new] == everything.table.rows[old]
        assert truth.table.segmentation(new) == everything.table.segmentation(old)
        assert truth.table.densepose.get(new) == everything.table.densepose.get(old)
    if truth.table.keypoints is not None:
        assert (truth.table.keypoints == everything.table.keypoints[expected]).all()
        assert (truth.table.num_keypoints == everything.table.num_keypoints[expected]).all()
    for key, values in truth.images.extra.items():
        at = [everything.images.ids.tolist().index(i) for i in ids]
        assert values == [everything.images.extra[key][i] for i in at]


def test_a_part_is_scored_like_a_split_that_lists_its_images_alone(root: Path, tmp_path: Path) -> None:
    """VOC's metric, difficult objects and all, against a devkit whose list names the held-out images."""
    hold = load_dataset("voc_2007_trainval@hold", root)
    kit = tmp_path / "VOC2007"
    (kit / "ImageSets" / "Main").mkdir(parents=True)
    for folder in ("Annotations", "JPEGImages"):
        (kit / folder).symlink_to(root / "VOC2007" / folder)
    ids = [record["image_id"] for record in hold.records]
    (kit / "ImageSets" / "Main" / "val.txt").write_text("\n".join(ids) + "\n")
    listed = load_dataset("voc_2007_val", tmp_path)
    predictions = _noisy(hold.records)
    scores = evaluate(hold, predictions)
    assert repr(scores) == repr(evaluate(listed, predictions))
    assert 0 < scores.summary["bbox"]["AP"] < 100


@pytest.mark.parametrize("name", ["coco_2017_train", "lvis_v0.5_train"])
def test_true_boxes_score_full_on_a_part(name: str, root: Path) -> None:
    hold = load_dataset(f"{name}@hold", root)
    predictions = _noisy(hold.records, noise=0.0)
    assert evaluate(hold, predictions).summary["bbox"]["AP"] == pytest.approx(100)
    other = load_dataset(f"{name}@fit", root)
    with pytest.raises(DataError, match="no such image"):
        evaluate(other, predictions)


@pytest.mark.parametrize("name", ["cityscapes_fine_sem_seg_train", "voc_2012_sem_seg_train"])
def test_true_maps_score_full_on_a_part(name: str, root: Path) -> None:
    hold = load_dataset(f"{name}@hold", root)
    encoding = hold.metadata["sem_seg_encoding"]
    found = []
    for record in hold.records:
        classes = read_class_map(record["sem_seg_file_name"], encoding)
        guess = np.where(classes == 255, 0, classes)
        found.append(Prediction(record["image_id"], sem_seg=guess))
    assert evaluate(hold, found).summary["sem_seg"]["mIoU"] == pytest.approx(100)


def test_true_masks_of_cityscapes_score_full_on_a_part(root: Path) -> None:
    hold = load_dataset("cityscapes_fine_instance_seg_train@hold", root)
    found = []
    for frame in hold.ground_truth:
        objects = [one for one in instances(instance_map(frame)) if not one["iscrowd"]]
        classes = np.array([one["category_id"] for one in objects], np.int64)
        boxes = np.array([one["bbox"] for one in objects], np.float32).reshape(-1, 4)
        scores = np.ones(len(objects), np.float32)
        masks = [one["segmentation"] for one in objects]
        found.append(Prediction(frame.image_id, boxes, scores, classes, masks=masks))
    assert evaluate(hold, found).summary["segm"]["AP50"] == pytest.approx(100)


@pytest.mark.parametrize("task", ["keypoints", "densepose"])
def test_people_are_scored_on_a_part(task: str, root: Path) -> None:
    name = {"keypoints": "keypoints_coco_2017_train", "densepose": "densepose_coco_2014_train"}[task]
    hold = load_dataset(f"{name}@hold", root)
    found = _noisy(hold.records, noise=0.0)
    for one, record in zip(found, hold.records, strict=True):
        objects = [a for a in record["annotations"] if not a["iscrowd"]]
        if task == "keypoints":
            one.keypoints = np.array([a["keypoints"] for a in objects], np.float32).reshape(-1, 17, 3)
        else:
            one.densepose = [_surface(box) for box in one.boxes]
    summary = evaluate(hold, found).summary
    assert summary["bbox"]["AP"] == pytest.approx(100)
    if task == "keypoints":
        assert summary["keypoints"]["AP"] == pytest.approx(100)
    else:
        assert 0 <= summary["densepose_gps"]["AP"] <= 100


def _surface(box: np.ndarray) -> dict[str, np.ndarray]:
    """Some guess at the surface in a box."""
    width, height = (max(1, int(box[2 + k] - box[k])) for k in (0, 1))
    return {"labels": np.ones((height, width), np.uint8), "uv": np.full((2, height, width), 0.5, np.float32)}


def _noisy(records: Sequence[dict[str, Any]], noise: float = 4.0) -> list[Prediction]:
    rng = np.random.default_rng(0)
    found = []
    for record in records:
        objects = [one for one in record["annotations"] if not one["iscrowd"]]
        boxes = np.array([one["bbox"] for one in objects], np.float32).reshape(-1, 4)
        boxes = boxes + rng.uniform(-noise, noise, boxes.shape).astype(np.float32)
        classes = np.array([one["category_id"] for one in objects], np.int64)
        scores = rng.random(len(objects)).astype(np.float32)
        found.append(Prediction(record["image_id"], boxes, scores, classes))
    return found


def test_a_set_that_is_too_small_is_refused(root: Path) -> None:
    whole = load_dataset("voc_2007_trainval", root)
    few = Dataset("few", list(whole.records)[:0], whole.metadata, whole.summary, None)
    for part, says in ((FIT, "none is left to train on"), (HOLD, "none is held out")):
        with pytest.raises(DataError, match=f"few: of its 0 images {says}.*leave --tune out"):
            part_of(few, part)


def test_a_users_set_cannot_have_the_name_of_a_part(tmp_path: Path) -> None:
    definition = {"format": "coco", "json": "a.json", "images": "."}
    with pytest.raises(DataError, match="cells@hold would be the name of a part"):
        own_dataset("cells@hold", definition, tmp_path / "suite.yaml")
    assert own_dataset("cells@home", definition, tmp_path / "suite.yaml").name == "cells@home"
