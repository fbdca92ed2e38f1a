"""Images of rare categories come more often, by the factors of the LVIS paper."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from transfer.samples.order import batches
from transfer.samples.repeats import repeat_factors

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
