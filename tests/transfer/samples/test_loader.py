"""Batches do not depend on who decodes them, and start anywhere."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import pytest
import torch

from transfer.datasets.registry import load_dataset
from transfer.datasets.synthetic.make import make_synthetic
from transfer.errors import DataError
from transfer.recipes.resolve import load_recipe
from transfer.samples.loader import evaluation_batches, training_batches, training_records
from transfer.samples.order import batches
from transfer.samples.sample import Sample

OVERRIDES = [("INPUT.MIN_SIZE_TRAIN", [40, 48]), ("INPUT.MIN_SIZE_TEST", 40), ("SOLVER.IMS_PER_BATCH", 4)]


def _facts(batch: list[Sample]) -> list[tuple[object, int]]:
    return [(s.image_id, int(s.image.long().sum()) + int(s.boxes.sum() * 1000)) for s in batch]


@pytest.mark.parametrize("grouped", [False, True])
def test_workers_resuming_and_processes_change_nothing(devkit: Path, grouped: bool) -> None:
    records = load_dataset("voc_2007_trainval", devkit).records
    overrides = [*OVERRIDES, ("DATALOADER.ASPECT_RATIO_GROUPING", grouped)]
    plain = load_recipe("voc_c4", [*overrides, ("DATALOADER.NUM_WORKERS", 0)])
    working = load_recipe("voc_c4", [*overrides, ("DATALOADER.NUM_WORKERS", 2)])
    wanted = [_facts(b) for b in islice(training_batches(records, plain, {}, 5), 6)]
    assert [_facts(b) for b in islice(training_batches(records, working, {}, 5), 6)] == wanted
    assert [_facts(b) for b in islice(training_batches(records, plain, {}, 5, start=4), 2)] == wanted[4:]
    if grouped:  # by process, so the processes of the recipe are stood in for by as many micro-steps
        steps = list(islice(training_batches(records, plain, {}, 5, micro_steps=2), 12))
        wanted = [_facts(a) + _facts(b) for a, b in zip(steps[::2], steps[1::2], strict=True)]
    halves = [islice(training_batches(records, plain, {}, 5, rank=r, world_size=2), 6) for r in range(2)]
    assert [_facts(a) + _facts(b) for a, b in zip(*halves, strict=True)] == wanted
    late = [training_batches(records, plain, {}, 5, rank=r, world_size=2, start=4) for r in range(2)]
    assert _facts(next(late[0])) + _facts(next(late[1])) == wanted[4]


def test_aspect_groups_are_those_of_the_processes(devkit: Path) -> None:
    records = load_dataset("voc_2012_trainval", devkit).records
    wide = [r["width"] > r["height"] for r in records]
    assert {False, True} == set(wide)
    cfg = load_recipe("voc_c4", [*OVERRIDES, ("DATALOADER.NUM_WORKERS", 0)])
    for parts in (1, 2, 4):
        order = list(islice(batches(len(records), 4, 7, wide, parts=parts), 20))
        wanted = [[records[n % len(records)]["image_id"] for _, n in batch] for batch in order]
        processes = [training_batches(records, cfg, {}, 7, rank=r, world_size=parts) for r in range(parts)]
        made = [[s.image_id for data in processes for s in next(data)] for _ in range(20)]
        assert made == wanted
        micro = training_batches(records, cfg, {}, 7, micro_steps=parts)
        assert [[s.image_id for _ in range(parts) for s in next(micro)] for _ in range(20)] == wanted


def test_test_images_come_in_their_order(devkit: Path) -> None:
    dataset = load_dataset("voc_2007_test", devkit)
    cfg = load_recipe("voc_c4", [*OVERRIDES, ("DATALOADER.NUM_WORKERS", 2)])
    samples = [s for batch in evaluation_batches(dataset.records, cfg) for s in batch]
    assert [s.image_id for s in samples] == [r["image_id"] for r in dataset.records]
    assert all(min(s.image.shape[1:]) == 40 for s in samples)
    assert samples[0].image.dtype == torch.uint8
    assert {len(s.boxes) for s in samples} == {0}, "the truth of a test image is not read"


def test_images_without_objects_are_left_out_where_the_recipe_says_so(devkit: Path) -> None:
    records = list(load_dataset("voc_2007_trainval", devkit).records)
    empty = records[0] | {"annotations": []}
    cfg = load_recipe("voc_c4")
    assert list(training_records([empty, *records], cfg)) == records
    keep = load_recipe("voc_c4", [("DATALOADER.FILTER_EMPTY_ANNOTATIONS", "False")])
    assert len(training_records([empty, *records], keep)) == len(records) + 1
    with pytest.raises(DataError, match="no image to train on"):
        training_records([empty], cfg)


def test_a_batch_that_cannot_be_shared_is_refused(devkit: Path) -> None:
    records = load_dataset("voc_2007_trainval", devkit).records
    with pytest.raises(DataError, match="4 is not a multiple of the 3 processes"):
        training_batches(records, load_recipe("voc_c4", OVERRIDES), {}, 0, world_size=3)


def test_segmentation_has_crops_for_training_and_whole_images_for_test(tmp_path: Path) -> None:
    names = ["voc_2012_sem_seg_train_aug", "voc_2012_sem_seg_val"]
    make_synthetic(names, tmp_path, train_images=8, test_images=1, image_size=64)
    train, test = (load_dataset(name, tmp_path) for name in names)
    keys = [("INPUT.CROP.SIZE", [33, 49]), ("SOLVER.IMS_PER_BATCH", 4), ("DATALOADER.NUM_WORKERS", 0)]
    cfg = load_recipe("voc_semantic", keys)
    records = training_records(train.records, cfg)
    assert len(records) == len(train.records), "no record of these has annotations, and all are wanted"
    for batch in islice(training_batches(records, cfg, train.metadata, 0), 3):
        assert [s.class_map is not None and s.class_map.shape for s in batch] == [(33, 49)] * 4
        assert all((s.image.shape[1] <= 33, s.image.shape[2] <= 49) == (True, True) for s in batch)
    samples = [s for batch in evaluation_batches(test.records, cfg) for s in batch]
    assert [s.image.shape for s in samples] == [(3, r["height"], r["width"]) for r in test.records]
    assert all(s.class_map is None for s in samples)


def test_images_of_rare_classes_come_more_often_where_the_recipe_says_so(devkit: Path) -> None:
    records = list(load_dataset("voc_2007_trainval", devkit).records)
    common = {"bbox": [1, 1, 9, 9], "bbox_mode": 0, "category_id": 0, "iscrowd": 0}
    made = [r | {"annotations": [common | {"category_id": int(i == 0)}]} for i, r in enumerate(records)]
    keys = [*OVERRIDES, ("DATALOADER.NUM_WORKERS", 0), ("DATALOADER.ASPECT_RATIO_GROUPING", False)]
    rare = [("DATALOADER.SAMPLER_TRAIN", "RepeatFactorTrainingSampler"), ("DATALOADER.REPEAT_THRESHOLD", 0.5)]
    for more, wanted in (([], 1), (rare, 2)):  # sqrt(0.5 / (1 / 8)) = 2
        cfg = load_recipe("voc_c4", [*keys, *more])
        four_epochs = len(records) + wanted - 1  # batches of four
        ids = [s.image_id for b in islice(training_batches(made, cfg, {}, 0), four_epochs) for s in b]
        assert ids.count(records[0]["image_id"]) == 4 * wanted
