"""Columns say what the records say, and looking through a data set builds no record."""

from __future__ import annotations

import json
import pickle
import time
from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from transfer.datasets import images
from transfer.datasets.cityscapes import frame as cityscapes_frame
from transfer.datasets.cityscapes import reader as cityscapes
from transfer.datasets.coco import records as coco_records
from transfer.datasets.records import (
    DEFINITIONS,
    LazyRecords,
    chosen,
    column,
    column_by_records,
    joined,
    without_truth,
)
from transfer.datasets.registry import load_dataset
from transfer.datasets.synthetic.make import make_synthetic
from transfer.recipes.resolve import load_recipe
from transfer.samples.loader import look_through, training_batches, training_records
from transfer.samples.order import batches
from transfer.samples.repeats import repeat_factors

SIZE = {"train_images": 24, "test_images": 12, "image_size": 64}
SUITES = {  # recipe -> its kind of data; where two names stand, they are joined
    "voc_c4": ["voc_2007_trainval", "voc_2012_trainval"],
    "coco_c4_1x": ["coco_2017_train", "coco_2017_val"],
    "coco_keypoint": ["keypoints_coco_2017_train", "keypoints_coco_2017_val"],
    "coco_densepose": ["densepose_coco_2014_minival", "densepose_coco_2014_valminusminival"],
    "lvis": ["lvis_v0.5_train", "lvis_v0.5_val"],
    "cityscapes_instance": ["cityscapes_fine_instance_seg_train", "cityscapes_fine_instance_seg_val"],
    "cityscapes_semantic": ["cityscapes_fine_sem_seg_train"],
    "voc_semantic": ["voc_2012_sem_seg_train", "voc_2012_sem_seg_val"],
}
KEYS = [("INPUT.RANDOM_FLIP", "none"), ("DATALOADER.NUM_WORKERS", 0)]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With crowds, images without objects, people without keypoints or surface, masks without polygons."""
    root = tmp_path_factory.mktemp("columns")
    make_synthetic([name for names in SUITES.values() for name in names], root, **SIZE)
    for path in [*(root / "coco/annotations").glob("*.json"), *(root / "lvis").glob("lvis_*.json")]:
        document = json.loads(path.read_text())
        ids = sorted(image["id"] for image in document["images"])
        document["annotations"] = [a for a in document["annotations"] if a["image_id"] not in ids[::5]]
        for a in document["annotations"]:
            if a["image_id"] in ids[1::5] and "iscrowd" in a:
                a["iscrowd"] = 1
            if "keypoints" in a and a["image_id"] in ids[3::5]:  # labelled, but not seen
                a["keypoints"] = [min(v, 1) if i % 3 == 2 else v for i, v in enumerate(a["keypoints"])]
            if a["image_id"] in ids[2::5]:
                if "keypoints" in a:
                    a.update(keypoints=[0] * 51, num_keypoints=0)
                for key in [key for key in a if key.startswith("dp_")]:
                    del a[key]
        path.write_text(json.dumps(document))
    for i, path in enumerate(sorted((root / "cityscapes").rglob("*_polygons.json"))):
        document = json.loads(path.read_text())
        if i % 3 == 0:
            path.unlink()
        elif i % 3 == 1:
            whole = [[0, 0], [document["imgWidth"], 0], [document["imgWidth"], document["imgHeight"]]]
            document["objects"].append({"label": "sky", "polygon": [*whole, [0, document["imgHeight"]]]})
            path.write_text(json.dumps(document))
    return root


def _records(recipe: str, root: Path) -> Sequence[dict[str, Any]]:
    return joined([load_dataset(name, root).records for name in SUITES[recipe]])


@pytest.mark.parametrize("recipe", SUITES)
def test_a_column_is_what_the_records_say(root: Path, recipe: str) -> None:
    records = _records(recipe, root)
    for made in (records, chosen(records, [3, 1, 2, 1]), pickle.loads(pickle.dumps(records))):
        for name in DEFINITIONS:
            ours, slow = column(made, name), column_by_records(list(made), name)
            assert ours.dtype == slow.dtype, name
            assert ours.tolist() == slow.tolist(), name


@pytest.mark.parametrize("recipe", SUITES)
def test_training_sees_the_records_factors_and_order_of_the_slow_way(root: Path, recipe: str) -> None:
    cfg = load_recipe(recipe, [*KEYS, ("DATALOADER.REPEAT_THRESHOLD", 0.5)])
    records = _records(recipe, root)
    everything = list(records)
    kept = training_records(records, cfg)
    slow = [r for r in everything if _wanted(r, cfg)]
    assert list(kept) == slow
    if "cityscapes_sem" not in recipe and "voc" not in recipe:
        assert 0 < len(slow) < len(everything), "the scene has what is to be left out"
    factors = None
    if cfg.DATALOADER.SAMPLER_TRAIN == "RepeatFactorTrainingSampler":
        categories = [[a["category_id"] for a in r["annotations"]] for r in slow]
        factors = repeat_factors(categories, cfg.DATALOADER.REPEAT_THRESHOLD)
        assert factors.max() > 1
    wide = [r["width"] > r["height"] for r in slow] if cfg.DATALOADER.ASPECT_RATIO_GROUPING else None
    wanted = islice(batches(len(slow), cfg.SOLVER.IMS_PER_BATCH, 4, wide, factors), 3)
    made = training_batches(kept, cfg, load_dataset(SUITES[recipe][0], root).metadata, 4)
    for batch, items in zip(islice(made, 3), wanted, strict=True):
        assert [s.image_id for s in batch] == [slow[n % len(slow)]["image_id"] for _, n in items]


def _wanted(record: dict[str, Any], cfg: Any) -> bool:
    """Detectron2's filters, written out for one record."""
    objects = [a for a in record["annotations"] if a["iscrowd"] == 0]
    if cfg.DATALOADER.FILTER_EMPTY_ANNOTATIONS and not objects:
        return False
    labelled = [v for a in record["annotations"] for v in a.get("keypoints", [])[2::3] if v > 0]
    if cfg.MODEL.KEYPOINT_ON and len(labelled) < cfg.MODEL.ROI_KEYPOINT_HEAD.MIN_KEYPOINTS_PER_IMAGE:
        return False
    return not cfg.MODEL.DENSEPOSE_ON or any("dp_x" in a for a in record["annotations"])


def _never(*_: Any) -> Any:
    raise AssertionError("a record was built, or a map decoded")


def test_looking_through_coco_builds_no_record(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(coco_records, "_annotation", _never)
    for recipe in ("coco_c4_1x", "coco_keypoint", "coco_densepose", "lvis"):
        cfg = load_recipe(recipe, KEYS)
        training_batches(training_records(_records(recipe, root), cfg), cfg, {}, 0)


def test_looking_through_cityscapes_decodes_and_cuts_no_more_than_it_must(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every map without polygons is decoded once, however often the columns are asked for."""
    decoded: list[str] = []
    real: Callable[..., Any] = cityscapes_frame.instance_map
    monkeypatch.setattr(
        cityscapes, "instance_map", lambda frame: decoded.append(frame.image_id) or real(frame)
    )
    monkeypatch.setattr(cityscapes, "visible_instances", _never)
    monkeypatch.setattr(cityscapes, "instances", _never)
    datasets = [load_dataset(name, root) for name in SUITES["cityscapes_instance"]]
    cfg = load_recipe("cityscapes_instance", KEYS)
    records = joined([dataset.records for dataset in datasets])
    for _ in range(2):
        training_batches(training_records(records, cfg), cfg, {}, 0)
    frames = [frame for dataset in datasets for frame in dataset.ground_truth]
    assert sorted(decoded) == sorted(f.image_id for f in frames if not f.polygons)
    bare = without_truth(records[2:9])
    assert [r["image_id"] for r in bare] == [f.image_id for f in frames[2:9]]
    assert all(r["annotations"] == [] for r in bare)


def test_sizes_are_read_once_for_width_and_height(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    real = images.image_size
    monkeypatch.setattr(images, "image_size", lambda path: read.append(path) or real(path))
    records = load_dataset("voc_2012_sem_seg_train", root).records
    assert (column(records, "width") > 0).all()
    assert (column(records, "height") > 0).all()
    assert sorted(read) == sorted(column(records, "file_name"))


def test_slices_and_bare_records_stay_lazy() -> None:
    made: list[int] = []

    def make(i: int) -> dict[str, Any]:
        made.append(i)
        return {"image_id": i, "annotations": [{"category_id": 1}]}

    records = LazyRecords(6, make)
    strided = records[1::2]
    assert made == []
    assert [r["image_id"] for r in strided] == [1, 3, 5]
    both = without_truth(joined([strided, [{"image_id": 9, "annotations": [{}]}]]))
    assert [(r["image_id"], r["annotations"]) for r in both] == [(i, []) for i in (1, 3, 5, 9)]
    np.testing.assert_array_equal(column(both, "has_object"), [False] * 4)
    np.testing.assert_array_equal(column(strided, "has_object"), [True] * 3)


def test_an_error_ends_the_work_of_the_threads() -> None:
    done: list[int] = []

    def work(i: int) -> int:
        if i == 0:
            raise KeyboardInterrupt
        time.sleep(0.01)
        done.append(i)
        return i

    with pytest.raises(KeyboardInterrupt):
        images.of_each(work, range(5000), "work")
    assert len(done) < 500
    for count in (0, 5, 129, 1500):  # one at a time and several, with a rest
        assert images.of_each(lambda i: i * i, range(count), "work") == [i * i for i in range(count)]


@pytest.mark.parametrize("recipe", SUITES)
def test_what_was_looked_through_travels_with_the_records(
    root: Path, recipe: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each of several processes receives the data sets pickled, and must not look through them again."""
    cfg = load_recipe(recipe, KEYS)
    parts = [load_dataset(name, root).records for name in SUITES[recipe]]
    look_through(joined(parts), cfg)
    received = pickle.loads(pickle.dumps(parts))

    def again(name: str) -> None:
        raise AssertionError(f"{name} is asked of the files again")

    for part in received:
        if isinstance(part, LazyRecords):  # VOC's are there already
            monkeypatch.setattr(part, "_columns", again)
    look_through(joined(received), cfg)
