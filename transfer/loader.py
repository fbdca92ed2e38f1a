"""Batches of samples for training and test, decoded in worker processes."""

from __future__ import annotations

import itertools
import signal
from collections.abc import Iterator, Sequence
from typing import Any

from torch.utils.data import DataLoader, Dataset
from yacs.config import CfgNode

from transfer.batches import Item, batches, share
from transfer.errors import DataError
from transfer.mapper import Sample, evaluation_sample, training_sample

Record = dict[str, Any]
Metadata = dict[str, Any]


class _Training(Dataset[Sample]):
    def __init__(self, records: Sequence[Record], cfg: CfgNode, metadata: Metadata, seed: int):
        self.records, self.cfg, self.metadata, self.seed = records, cfg, metadata, seed

    def __getitem__(self, item: Item) -> Sample:  # type: ignore[override]  # keyed by (epoch, index)
        epoch, index = item
        return training_sample(self.records[index], self.cfg, self.metadata, self.seed, epoch, index)


class _Test(Dataset[Sample]):
    def __init__(self, records: Sequence[Record], cfg: CfgNode):
        self.records, self.cfg = records, cfg

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, index: int) -> Sample:
        return evaluation_sample(self.records[index], self.cfg)


def training_records(records: Sequence[Record], cfg: CfgNode) -> list[Record]:
    """The records that training may draw: without images that have no object, where the recipe says so."""
    if cfg.DATALOADER.FILTER_EMPTY_ANNOTATIONS:
        records = [r for r in records if any(not a.get("iscrowd", 0) for a in r["annotations"])]
    if not records:
        raise DataError(f"{', '.join(cfg.DATASETS.TRAIN)}: no image has an object to train on")
    return list(records)


def training_batches(
    records: Sequence[Record],
    cfg: CfgNode,
    metadata: Metadata,
    seed: int,
    *,
    start: int = 0,
    rank: int = 0,
    world_size: int = 1,
) -> Iterator[list[Sample]]:
    """Endless local batches from iteration `start` on; the order is a function of the seed alone."""
    size = cfg.SOLVER.IMS_PER_BATCH
    if size % world_size:
        raise DataError(
            f"SOLVER.IMS_PER_BATCH {size} is not a multiple of the {world_size} processes; change one"
        )
    wide = [r["width"] > r["height"] for r in records] if cfg.DATALOADER.ASPECT_RATIO_GROUPING else None
    order = itertools.islice(batches(len(records), size, seed, wide), start, None)
    local = (share(batch, rank, world_size) for batch in order)
    return iter(_loader(_Training(records, cfg, metadata, seed), cfg, batch_sampler=local))


def evaluation_batches(
    records: Sequence[Record], cfg: CfgNode, batch_size: int = 1
) -> Iterator[list[Sample]]:
    """The records in their order at test size."""
    return iter(_loader(_Test(records, cfg), cfg, batch_size=batch_size))


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
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1):
        signal.signal(number, signal.SIG_IGN)
