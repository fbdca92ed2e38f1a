"""Few images a class: the cost is what training images that were not drawn say, and no test image."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.transfer.probes.dial import Dial, dial
from transfer.probes import lowshot, svm
from transfer.probes.average_precision import area_ap
from transfer.probes.checks import ProbeError

COSTS = (0.01, 1.0, 100.0)


def _targets(data: Dial) -> torch.Tensor:
    targets = torch.nn.functional.one_hot(data.labels, 5)
    targets[::11][targets[::11] == 0] = -1  # difficult ones
    return targets


def test_the_cost_by_brute_force() -> None:
    data, shots, draws = dial(0.35), 3, 2
    targets = _targets(data)
    found = lowshot.choose(data.train, targets, shots, draws, 7, COSTS)
    means = []
    for cost in COSTS:
        values = []
        for draw in range(draws):
            signs = svm.few(targets, shots, 7 + draw)
            for c in range(5):
                used = signs[:, c] != 0
                (model,) = svm.fit(data.train[used], signs[used, c : c + 1], [cost])
                rest = ~used & (targets[:, c] != -1)
                right = (targets[rest, c] == 1).numpy()
                values.append(area_ap(model.scores(data.train[rest])[:, 0].numpy(), right))
        means.append(100 * np.mean(values))
    np.testing.assert_allclose(found.left_out.numpy(), means, atol=0.05)  # the solver ends by the rows
    assert found.cost == COSTS[int(np.argmax(means))]
    assert len(found.models) == draws
    assert not torch.equal(found.models[0].weight, found.models[1].weight)


def _mean(quality: float, shots: int) -> float:
    data = dial(quality)
    found = lowshot.choose(data.train, _targets(data), shots, 3, 0, (0.1, 10.0))
    truth = torch.nn.functional.one_hot(data.truth, 5)
    return float(np.mean([svm.average_precisions(m.scores(data.test), truth).mean() for m in found.models]))


def test_it_rises_with_the_features_and_the_shots() -> None:
    low, middle, high = (_mean(quality, 4) for quality in (0.0, 0.5, 1.5))
    assert low < 32 < middle < high  # a fifth of the images are of a class
    assert high > 90
    assert _mean(0.5, 1) < middle < _mean(0.5, 20)


@pytest.mark.parametrize(
    ("shots", "says"), [(31, "30 positive images, 31 shots need 31"), (30, "no image is left out")]
)
def test_more_shots_than_images(shots: int, says: str) -> None:
    data = dial(0.5)
    with pytest.raises(ProbeError, match=says):
        lowshot.choose(data.train, torch.nn.functional.one_hot(data.labels, 5), shots, 2, 0, COSTS)
