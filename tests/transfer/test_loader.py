"""Batches do not depend on who decodes them, and start anywhere."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import pytest
import torch

from transfer.config import load_recipe
from transfer.datasets.registry import load_dataset
from transfer.errors import DataError
from transfer.loader import evaluation_batches, training_batches, training_records
from transfer.mapper import Sample

OVERRIDES = [("INPUT.MIN_SIZE_TRAIN", [40, 48]), ("INPUT.MIN_SIZE_TEST", 40), ("SOLVER.IMS_PER_BATCH", 4)]


def _facts(batch: list[Sample]) -> list[tuple[object, int]]:
    return [(s.image_id, int(s.image.long().sum()) + int(s.boxes.sum() * 1000)) for s in batch]


def test_workers_resuming_and_processes_change_nothing(devkit: Path) -> None:
    records = load_dataset("voc_2007_trainval", devkit).records
    plain = load_recipe("voc_c4", [*OVERRIDES, ("DATALOADER.NUM_WORKERS", 0)])
    working = load_recipe("voc_c4", [*OVERRIDES, ("DATALOADER.NUM_WORKERS", 2)])
    wanted = [_facts(b) for b in islice(training_batches(records, plain, {}, 5), 6)]
    assert [_facts(b) for b in islice(training_batches(records, working, {}, 5), 6)] == wanted
    assert [_facts(b) for b in islice(training_batches(records, plain, {}, 5, start=4), 2)] == wanted[4:]
    halves = [islice(training_batches(records, plain, {}, 5, rank=r, world_size=2), 6) for r in range(2)]
    assert [_facts(a) + _facts(b) for a, b in zip(*halves, strict=True)] == wanted


def test_test_images_come_in_their_order(devkit: Path) -> None:
    dataset = load_dataset("voc_2007_test", devkit)
    cfg = load_recipe("voc_c4", [*OVERRIDES, ("DATALOADER.NUM_WORKERS", 2)])
    samples = [s for batch in evaluation_batches(dataset.records, cfg) for s in batch]
    assert [s.image_id for s in samples] == [r["image_id"] for r in dataset.records]
    assert all(min(s.image.shape[1:]) == 40 for s in samples)
    assert samples[0].image.dtype == torch.uint8


def test_images_without_objects_are_left_out_where_the_recipe_says_so(devkit: Path) -> None:
    records = list(load_dataset("voc_2007_trainval", devkit).records)
    empty = records[0] | {"annotations": []}
    cfg = load_recipe("voc_c4")
    assert training_records([empty, *records], cfg) == records
    keep = load_recipe("voc_c4", [("DATALOADER.FILTER_EMPTY_ANNOTATIONS", "False")])
    assert len(training_records([empty, *records], keep)) == len(records) + 1
    with pytest.raises(DataError, match="no image to train on"):
        training_records([empty], cfg)


def test_a_batch_that_cannot_be_shared_is_refused(devkit: Path) -> None:
    records = load_dataset("voc_2007_trainval", devkit).records
    with pytest.raises(DataError, match="4 is not a multiple of the 3 processes"):
        training_batches(records, load_recipe("voc_c4", OVERRIDES), {}, 0, world_size=3)
