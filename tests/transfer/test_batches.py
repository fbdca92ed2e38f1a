"""The data order is a function of the seed alone."""

from __future__ import annotations

from collections import Counter
from itertools import islice

import pytest

from transfer.batches import batches, share


def test_every_epoch_shows_every_image_once_and_in_a_new_order() -> None:
    items = [item for batch in islice(batches(12, 4, seed=3), 9) for item in batch]
    epochs = [[index for epoch, index in items if epoch == e] for e in range(3)]
    assert [sorted(epoch) for epoch in epochs] == [list(range(12))] * 3
    assert len({tuple(epoch) for epoch in epochs}) == 3


def test_the_order_depends_on_the_seed_only() -> None:
    first = list(islice(batches(50, 8, seed=1), 40))
    assert first == list(islice(batches(50, 8, seed=1), 40))
    assert first != list(islice(batches(50, 8, seed=2), 40))
    assert first[25:] == list(islice(batches(50, 8, seed=1), 25, 40)), "skipping is resuming"


def test_grouped_batches_have_one_orientation_and_lose_no_image() -> None:
    wide = [i % 3 == 0 for i in range(30)]
    made = list(islice(batches(30, 4, seed=0, wide=wide), 75))
    assert all(len({wide[index] for _, index in batch}) == 1 for batch in made)
    seen = Counter(index for batch in made for epoch, index in batch if epoch < 8)
    assert set(seen.values()) == {8}


@pytest.mark.parametrize("world_size", [1, 2, 4])
def test_the_shares_of_the_processes_make_up_the_batch(world_size: int) -> None:
    batch = next(batches(20, 8, seed=0))
    parts = [share(batch, rank, world_size) for rank in range(world_size)]
    assert [item for part in parts for item in part] == batch
    assert {len(part) for part in parts} == {8 // world_size}
