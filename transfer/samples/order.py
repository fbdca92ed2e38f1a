"""Says which images make up batch t: a pure function of (seed, t), whatever the worker count.

One epoch is one permutation; epochs follow each other without end, as in Detectron2's TrainingSampler. With
aspect grouping a part of a batch, that of one process, holds images of one orientation, which saves padding.
It is filled as in Detectron2: part r draws every `parts`-th image of the order, from the r-th on, and an
image waits in its orientation's bucket until the bucket is full. So batch t depends on the number of parts
(processes x micro-steps) as well, and not on which process computes them. (Data workers change the order of
Detectron2's stream a little, here never.) No state is kept: to resume, the order is replayed and skipped.

Factors (`transfer.samples.repeats`) show images of rare categories more than once an epoch. Copy k of image i
has the number i + k * images, so that copies within an epoch are augmented differently.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Iterator, Sequence

import numpy as np

from transfer.process.draws import order_generator

Item = tuple[int, int]  # (epoch, number); the record's index is number modulo the number of images


def batches(
    num_images: int,
    batch_size: int,
    seed: int,
    wide: Sequence[bool] | np.ndarray | None = None,
    factors: np.ndarray | None = None,
    parts: int = 1,
) -> Iterator[list[Item]]:
    """Endless batches of (epoch, number).

    `wide[i]`: is image i wider than high; None: no grouping. `factors[i]`: how often image i comes per epoch
    on average, at least 1; None: once. `parts`, a divisor of the batch size: into how many shares a batch is
    cut, each grouped by itself (see `share`).
    """
    items = _items(num_images, seed, factors)
    if wide is None:
        while True:
            yield list(itertools.islice(items, batch_size))
    size = batch_size // parts
    buckets: list[tuple[list[Item], list[Item]]] = [([], []) for _ in range(parts)]
    full: list[deque[list[Item]]] = [deque() for _ in range(parts)]
    for part, item in zip(itertools.cycle(range(parts)), items):  # neither ends
        bucket = buckets[part][int(wide[item[1] % num_images])]
        bucket.append(item)
        if len(bucket) == size:
            full[part].append(bucket.copy())
            bucket.clear()
            if all(full):
                yield [item for groups in full for item in groups.popleft()]


def _items(num_images: int, seed: int, factors: np.ndarray | None) -> Iterator[Item]:
    for epoch in itertools.count():
        rng = order_generator(seed, epoch)
        numbers = _numbers(num_images, factors, rng)
        for number in numbers[rng.permutation(len(numbers))].tolist():
            yield epoch, number


def _numbers(num_images: int, factors: np.ndarray | None, rng: np.random.Generator) -> np.ndarray:
    """The numbers of one epoch in ascending order; a fraction of a repeat is one more copy by chance."""
    if factors is None:
        return np.arange(num_images)
    whole = np.floor(factors).astype(np.int64)
    copies = whole + (rng.random(num_images) < factors - whole)
    return np.concatenate([np.flatnonzero(copies > k) + k * num_images for k in range(copies.max())])


def share(batch: list[Item], rank: int, world_size: int) -> list[Item]:
    """This process's contiguous part of a global batch."""
    size = len(batch) // world_size
    return batch[rank * size : (rank + 1) * size]
