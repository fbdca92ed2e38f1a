"""Makes batches of samples for training and test, decoded in worker processes."""

from __future__ import annotations

import itertools
import signal
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from torch.utils.data import DataLoader, Dataset
from yacs.config import CfgNode

from transfer.datasets.records import chosen, column, without_truth
from transfer.errors import DataError
from transfer.process.signals import STOPS
from transfer.recipes.architectures import architecture_of
from transfer.recipes.resolve import flatten
from transfer.samples.class_maps import semantic_evaluation_sample, semantic_training_sample
from transfer.samples.densepose import load_symmetry
from transfer.samples.detection import evaluation_sample, training_sample
from transfer.samples.order import Item, batches, share
from transfer.samples.repeats import repeat_factors
from transfer.samples.sample import Sample

Record = dict[str, Any]
Metadata = dict[str, Any]


class _Training(Dataset[Sample]):
    def __init__(self, records: Sequence[Record], cfg: CfgNode, metadata: Metadata, seed: int):
        self.records, self.cfg, self.metadata, self.seed = records, cfg, metadata, seed
        self.make = semantic_training_sample if _is_semantic(cfg) else training_sample
        if cfg.MODEL.DENSEPOSE_ON and cfg.INPUT.RANDOM_FLIP != "none":
            # If it is missing, this says so before the first step; else the workers share it.
            load_symmetry(metadata["data_root"])

    def __getitem__(self, item: Item) -> Sample:  # type: ignore[override]  # keyed by (epoch, number)
        epoch, number = item  # a repeated image has more than one number, so its copies are augmented apart
        record = self.records[number % len(self.records)]
        return self.make(record, self.cfg, self.metadata, self.seed, epoch, number)


class _Test(Dataset[Sample]):
    def __init__(self, records: Sequence[Record], cfg: CfgNode):
        self.records, self.cfg = records, cfg
        self.make = semantic_evaluation_sample if _is_semantic(cfg) else evaluation_sample

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, index: int) -> Sample:
        return self.make(self.records[index], self.cfg)


def _is_semantic(cfg: CfgNode) -> bool:
    return architecture_of(flatten(cfg)).semantic


def training_records(records: Sequence[Record], cfg: CfgNode) -> Sequence[Record]:
    """The records that training may draw, by Detectron2's rules; DataError if there are none.

    Drawn is an image with an object, where the recipe filters empty ones, and where it trains such heads, one
    with labelled keypoints (those of crowds included) and with DensePose labels.
    """
    needed: dict[str, np.ndarray] = {}  # what is needed, and which records have it
    if cfg.DATALOADER.FILTER_EMPTY_ANNOTATIONS:
        needed["an object"] = column(records, "has_object")
    if cfg.MODEL.KEYPOINT_ON and (least := cfg.MODEL.ROI_KEYPOINT_HEAD.MIN_KEYPOINTS_PER_IMAGE):
        needed[f"{least} labelled keypoints"] = column(records, "labelled_keypoints") >= least
    if cfg.MODEL.DENSEPOSE_ON:
        needed["a person with DensePose labels"] = column(records, "has_surface")
    kept = np.flatnonzero(np.logical_and.reduce(list(needed.values()))) if needed else None
    if not len(records if kept is None else kept):
        what = " and ".join(needed) or "an object"
        raise DataError(f"{', '.join(cfg.DATASETS.TRAIN)}: no image to train on, or none has {what}")
    return records if kept is None else chosen(records, kept)  # COCO's as Python objects are gigabytes


def training_batches(
    records: Sequence[Record],
    cfg: CfgNode,
    metadata: Metadata,
    seed: int,
    *,
    start: int = 0,
    rank: int = 0,
    world_size: int = 1,
    micro_steps: int = 1,
) -> Iterator[list[Sample]]:
    """This process's batches from iteration `start` on, without end.

    The order is a function of the seed and of the number of parts that a batch has: processes times
    micro-steps. An iteration has `micro_steps` of them: those of the processes that this one stands in for.
    Raises DataError for a batch size that the parts do not divide.
    """
    size, parts = cfg.SOLVER.IMS_PER_BATCH, world_size * micro_steps
    if size % parts:
        raise DataError(f"SOLVER.IMS_PER_BATCH {size} is not a multiple of the {parts} processes; change one")
    wide, factors = _wide(records, cfg), _factors(records, cfg)
    order = itertools.islice(batches(len(records), size, seed, wide, factors, parts), start, None)
    local = (share(batch, m * world_size + rank, parts) for batch in order for m in range(micro_steps))
    return iter(_loader(_Training(records, cfg, metadata, seed), cfg, batch_sampler=local))


def _wide(records: Sequence[Record], cfg: CfgNode) -> np.ndarray | None:
    if not cfg.DATALOADER.ASPECT_RATIO_GROUPING:
        return None
    return column(records, "width") > column(records, "height")


def _factors(records: Sequence[Record], cfg: CfgNode) -> np.ndarray | None:
    if cfg.DATALOADER.SAMPLER_TRAIN != "RepeatFactorTrainingSampler":
        return None
    return repeat_factors(column(records, "categories"), cfg.DATALOADER.REPEAT_THRESHOLD)


def look_through(records: Sequence[Record], cfg: CfgNode) -> None:
    """Asks of every record what training will ask, once for all processes that then receive the records."""
    left = training_records(records, cfg)
    _wide(left, cfg)
    _factors(left, cfg)


def evaluation_batches(
    records: Sequence[Record], cfg: CfgNode, batch_size: int = 1
) -> Iterator[list[Sample]]:
    """The records in their order at test size, without truth, which a data set may have to decode."""
    return iter(_loader(_Test(without_truth(records), cfg), cfg, batch_size=batch_size))


def _loader(dataset: Dataset[Sample], cfg: CfgNode, **how: Any) -> DataLoader[Any]:
    return DataLoader(
        dataset,
        num_workers=cfg.DATALOADER.NUM_WORKERS,
        collate_fn=list,
        worker_init_fn=_leave_signals_to_the_loop,
        **how,
    )


def _leave_signals_to_the_loop(_: int) -> None:
    """Ctrl-C and a scheduler's signals reach every process; the loop needs its workers to end a step."""
    for number in STOPS:
        signal.signal(number, signal.SIG_IGN)
