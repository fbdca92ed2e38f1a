"""The data order is a function of the seed alone."""

from __future__ import annotations

from collections import Counter
from itertools import islice

import numpy as np
import pytest

from transfer.batches import batches, repeat_factors, share


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


# Category 0 is in all of 8 images, 1 in two, 2 in one; the last image has no object.
CATEGORIES = [[0, 0, 1], [0], [0, 1, 1], [0, 2], [0], [0], [0], []]


def test_repeat_factors_by_hand() -> None:
    """f = 7/8, 2/8 and 1/8: with threshold 1/2 the categories have 1, sqrt(2) and 2."""
    wanted = [2**0.5, 1, 2**0.5, 2, 1, 1, 1, 1]
    np.testing.assert_allclose(repeat_factors(iter(map(iter, CATEGORIES)), 0.5), wanted)
    np.testing.assert_array_equal(repeat_factors(CATEGORIES, 0.0), np.ones(8))
    np.testing.assert_array_equal(repeat_factors([[], []], 0.5), np.ones(2))


@pytest.mark.detectron2
def test_repeat_factors_equal_detectron2s() -> None:
    pytest.importorskip("detectron2", reason="Detectron2 is not importable")
    from detectron2.data.samplers import RepeatFactorTrainingSampler

    rng = np.random.default_rng(0)
    rare = np.minimum(rng.geometric(0.02, (500, 6)) - 1, 400)
    lists = [row[: rng.integers(0, 7)].tolist() for row in rare]
    records = [{"annotations": [{"category_id": c} for c in categories]} for categories in lists]
    theirs = RepeatFactorTrainingSampler.repeat_factors_from_category_frequency(records, 0.05)
    ours = repeat_factors(lists, 0.05)
    np.testing.assert_allclose(ours, theirs, rtol=1e-6)
    assert len(np.unique(ours)) > 10


def test_rare_images_come_as_often_as_their_factor_says() -> None:
    factors = repeat_factors(CATEGORIES, 0.5)
    epochs = 2000
    seen: Counter[int] = Counter()
    for batch in batches(8, 4, seed=0, factors=factors):
        if batch[0][0] >= epochs:
            break
        seen.update(number % 8 for epoch, number in batch if epoch < epochs)
    means = np.array([seen[i] / epochs for i in range(8)])
    np.testing.assert_array_equal(means[[1, 3, 4, 5, 6, 7]], [1, 2, 1, 1, 1, 1])
    deviation = (0.414 * 0.586 / epochs) ** 0.5
    assert np.abs(means[[0, 2]] - 2**0.5).max() < 4 * deviation


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
