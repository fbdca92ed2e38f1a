"""Every probe rises with the quality of features, is at chance without, and sees neither axes nor order."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch

from tests.transfer.probes.dial import Dial, dial, rotation
from transfer.probes import episodes, knn, logistic, retrieval, ridge, svm

CLASSES, EACH = 5, 30


def logreg(data: Dial) -> np.ndarray:
    model = logistic.fit(data.train, data.labels, (0.01,))
    return (model.scores(data.test)[0].argmax(1) == data.truth).numpy()


def neighbours(data: Dial) -> np.ndarray:
    return (knn.classify(data.train, data.labels, data.test, (10,))[0] == data.truth).numpy()


def ridge_regression(data: Dial) -> np.ndarray:
    model = ridge.choose(data.train, data.labels, (1.0, 10.0, 100.0)).model
    return (model.scores(data.test).argmax(1) == data.truth).numpy()


def few_shot(data: Dial) -> np.ndarray:
    return episodes.few_shot(data.test, data.truth, 5, 0, queries=15, episodes=60).episodes.numpy() / 100


def machine(data: Dial) -> np.ndarray:
    signs = torch.where(torch.nn.functional.one_hot(data.labels) == 1, 1, -1)
    (model,) = svm.fit(data.train, signs, (1.0,))
    return (model.scores(data.test).argmax(1) == data.truth).numpy()


def found(data: Dial) -> np.ndarray:
    """Recall@1 among the test images; the chance is (EACH - 1) / (all others), nearly 1 / CLASSES."""
    return retrieval.same_class(data.test, data.truth, (1,)).at[1] / 100


PROBES = [logreg, neighbours, ridge_regression, few_shot, machine, found]


@pytest.mark.parametrize("probe", PROBES, ids=lambda probe: probe.__name__)
def test_the_dial(probe: Callable[[Dial], np.ndarray]) -> None:
    """Chance within 4 standard errors at quality 0 and for shuffled labels; a rise by 5 points a step."""
    bound = 4 * math.sqrt((1 / CLASSES) * (1 - 1 / CLASSES) / (CLASSES * EACH))
    values = [float(probe(dial(q, CLASSES, each=EACH)).mean()) for q in (0.0, 0.3, 0.6, 1.2)]
    assert abs(values[0] - 1 / CLASSES) < bound
    assert all(after > before + 0.05 for before, after in zip(values, values[1:], strict=False)), values
    assert values[-1] > 0.85
    good = dial(1.2, CLASSES, each=EACH)
    order = torch.from_numpy(np.random.default_rng(1).permutation(len(good.labels)))
    shuffled = good._replace(labels=good.labels[order], truth=good.truth[order.flip(0)])
    assert abs(float(probe(shuffled).mean()) - 1 / CLASSES) < bound


@pytest.mark.parametrize("probe", PROBES, ids=lambda probe: probe.__name__)
def test_neither_axes_nor_order_matter(probe: Callable[[Dial], np.ndarray]) -> None:
    """Image by image after a rotation of the features; after a permutation of either set, moved with it."""
    data = dial(0.5, CLASSES, each=EACH)
    expected = probe(data)
    turn = rotation(data.train.shape[1])
    np.testing.assert_array_equal(
        probe(data._replace(train=data.train @ turn, test=data.test @ turn)), expected
    )
    order = torch.from_numpy(np.random.default_rng(2).permutation(len(data.labels)))
    moved = Dial(data.train[order], data.labels[order], data.test[order], data.truth[order])
    if probe is few_shot:  # other images are drawn
        assert abs(probe(moved).mean() - expected.mean()) < 0.04
    else:
        np.testing.assert_array_equal(probe(moved), expected[order.numpy()])
