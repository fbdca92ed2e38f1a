"""The data order is a function of the seed alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from itertools import islice

import numpy as np
import pytest

from transfer.samples.order import Item, batches, share


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


def _grouped_stream(stream: Iterable[Item], wide: list[bool], size: int) -> Iterator[list[Item]]:
    """One process of Detectron2, as its AspectRatioGroupedDataset works, in our words."""
    waiting: dict[bool, list[Item]] = {False: [], True: []}
    for item in stream:
        kind = wide[item[1] % len(wide)]
        waiting[kind].append(item)
        if len(waiting[kind]) == size:
            yield waiting[kind]
            waiting[kind] = []


def _of_detectron2(stream: Iterable[Item], wide: list[bool], size: int) -> Iterator[list[Item]]:
    """The real class, on what a process of its sampler draws."""
    from detectron2.data.common import AspectRatioGroupedDataset

    dicts = ({"width": 1 + wide[i[1] % len(wide)], "height": 1, "item": i} for i in stream)
    return ([d["item"] for d in group] for group in AspectRatioGroupedDataset(dicts, size))


def _agrees_with(process: Callable[..., Iterator[list[Item]]]) -> None:
    rng = np.random.default_rng(1)
    for number, parts, size, factors in (
        (37, 1, 4, None),
        (37, 2, 3, None),
        (30, 8, 2, None),  # 8 divides no epoch, and some parts are ahead of others
        (11, 4, 1, None),
        (25, 5, 4, rng.uniform(1, 3, 25)),
    ):
        wide = (rng.random(number) < 0.7).tolist()
        steps = 60
        ours = list(islice(batches(number, parts * size, 9, np.array(wide), factors, parts), steps))
        order = [item for batch in islice(batches(number, 1, 9, factors=factors), 4000) for item in batch]
        for part in range(parts):
            theirs = list(islice(process(order[part::parts], wide, size), steps))
            assert [share(batch, part, parts) for batch in ours] == theirs


def test_every_part_is_grouped_as_a_process_of_detectron2_groups_its_own() -> None:
    _agrees_with(_grouped_stream)


@pytest.mark.detectron2
def test_every_part_is_grouped_by_detectron2s_own_class() -> None:
    pytest.importorskip("detectron2", reason="Detectron2 is not importable")
    _agrees_with(_of_detectron2)


def test_parts_of_a_batch_may_differ_in_orientation() -> None:
    wide = [i % 2 == 0 for i in range(40)]
    made = list(islice(batches(40, 16, 0, wide, parts=8), 100))
    kinds = [{wide[i] for _, i in batch} for batch in made]
    assert kinds.count({False, True}) > 90
    assert made[60:] == list(islice(batches(40, 16, 0, wide, parts=8), 60, 100)), "skipping is resuming"


@pytest.mark.parametrize("factors", [None, np.linspace(1, 2, 20)])
def test_parts_change_nothing_without_grouping(factors: np.ndarray | None) -> None:
    one, eight = (list(islice(batches(20, 8, 3, None, factors, p), 30)) for p in (1, 8))
    assert one == eight


def test_copies_of_an_image_have_numbers_of_their_own_and_stand_apart() -> None:
    """Equal numbers would mean equal crops and flips; neighbours would mean that copies are not shuffled."""
    factors = np.array([3.0, 1, 1, 1, 1, 1, 1, 2])
    items = [item for batch in islice(batches(8, 11, seed=4, factors=factors), 20) for item in batch]
    first = [number for epoch, number in items if epoch == 0]
    assert sorted(first) == [*range(8), 8, 15, 16]
    assert len(set(items)) == len(items)
    places = [i for i, (_, number) in enumerate(items) if number % 8 == 0]
    assert len({b - a for a, b in zip(places, places[1:], strict=False)}) > 3


def test_factors_of_one_change_nothing() -> None:
    plain = list(islice(batches(12, 4, seed=3), 9))
    again = list(islice(batches(12, 4, seed=3, factors=np.ones(12)), 9))
    assert [sorted(n for b in made[:3] for _, n in b) for made in (plain, again)] == [list(range(12))] * 2
