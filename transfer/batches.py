"""Which images make up batch t: a pure function of (seed, t), whatever the worker or process count.

One epoch is one permutation; epochs follow each other without end, as in Detectron2's TrainingSampler. With
aspect grouping a batch holds images of one orientation, which saves padding: an image waits in its
orientation's bucket until the bucket is full. No state is kept: to resume, the order is replayed and skipped.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

import numpy as np

Item = tuple[int, int]  # (epoch, index of the record)


def batches(
    num_images: int, batch_size: int, seed: int, wide: Sequence[bool] | None = None
) -> Iterator[list[Item]]:
    """Endless batches of (epoch, index). `wide[i]`: is image i wider than high; None: no grouping."""
    buckets: dict[bool, list[Item]] = {False: [], True: []}
    for epoch in itertools.count():
        order = np.random.default_rng([seed, epoch]).permutation(num_images)
        for index in order.tolist():
            bucket = buckets[wide[index] if wide is not None else False]
            bucket.append((epoch, index))
            if len(bucket) == batch_size:
                yield bucket.copy()
                bucket.clear()


def share(batch: list[Item], rank: int, world_size: int) -> list[Item]:
    """This process's contiguous part of a global batch."""
    size = len(batch) // world_size
    return batch[rank * size : (rank + 1) * size]
