"""Linear layers go the steps of SGD as written down by hand, and rise with the features."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.transfer.probes.dial import dial
from transfer.probes.checks import ProbeError
from transfer.probes.linear import Descent, Layers, best


def _batches(x: Tensor, y: Tensor, size: int, epochs: int) -> Iterator[tuple[Tensor, Tensor]]:
    for epoch in range(epochs):
        order = torch.from_numpy(np.random.default_rng(epoch).permutation(len(x)))
        for rows in order[: len(x) // size * size].split(size):
            yield x[rows].float(), y[rows]


def _slow(
    w: np.ndarray, b: np.ndarray, batches: list[tuple[Tensor, Tensor]], how: Descent, rate: float
) -> tuple[np.ndarray, np.ndarray]:
    """The steps of one layer in numpy: softmax minus one-hot, momentum, Nesterov's look ahead, decay."""
    speed: list[np.ndarray | None] = [None, None]
    values = [w.astype(float), b.astype(float)]
    for step, (features, labels) in enumerate(batches):
        if how.schedule == "cosine":
            lr = rate * (1 + np.cos(np.pi * step / how.steps)) / 2
        else:
            lr = rate * 0.1 ** [step >= how.steps * n / 4 for n in (1, 2, 3)].count(True)
        x, y = features.double().numpy(), labels.numpy()
        p = np.exp(x @ values[0].T + values[1])
        p /= p.sum(1, keepdims=True)
        p[np.arange(len(y)), y] -= 1
        for i, gradient in enumerate((p.T @ x / len(y), p.mean(0))):
            g = gradient + how.weight_decay * values[i]
            before = speed[i]
            speed[i] = v = g if before is None else how.momentum * before + g
            values[i] = values[i] - lr * (g + how.momentum * v if how.nesterov else v)
    return values[0], values[1]


@pytest.mark.parametrize(
    ("nesterov", "decay", "schedule"), [(True, 0.0, "cosine"), (False, 0.05, "steps")], ids=["BYOL", "VISSL"]
)
def test_the_steps_of_sgd(nesterov: bool, decay: float, schedule: str) -> None:
    data = dial(0.6, classes=3, width=5, each=8)
    batches = list(_batches(data.train, data.labels, 6, 3))
    how = Descent((0.5, 0.1), len(batches), 0.9, nesterov, decay, schedule)
    layers = Layers(5, 3, how, seed=4)
    starts = [(w.detach().numpy().copy(), b.detach().numpy().copy()) for w, b in _tensors(layers)]
    for features, labels in batches:
        layers.step(features, labels, 6)
    for rate, (w, b), (w0, b0) in zip(how.rates, _tensors(layers), starts, strict=True):
        slow_w, slow_b = _slow(w0, b0, batches, how, rate)
        np.testing.assert_allclose(w.detach().numpy(), slow_w, atol=2e-6)
        np.testing.assert_allclose(b.detach().numpy(), slow_b, atol=2e-6)


def _tensors(layers: Layers) -> list[tuple[Tensor, Tensor]]:
    return list(zip(layers.weights, layers.biases, strict=True))


def _fitted(quality: float, shuffled: bool = False) -> float:
    data = dial(quality)
    labels = data.labels[torch.randperm(150, generator=torch.Generator().manual_seed(1))]
    labels = labels if shuffled else data.labels
    layers = Layers(24, 5, Descent((0.1,), 100), seed=0)
    for features, of in _batches(data.train, labels, 30, 20):
        layers.step(features, of, 30)
    return 100 * float((layers.scores(0, data.test).argmax(1) == data.truth).double().mean())


def test_it_rises_with_the_features_and_nothing_comes_of_nothing() -> None:
    low, middle, high = (_fitted(quality) for quality in (0.0, 0.35, 1.0))
    assert low < 30 < middle < 85 < high
    assert _fitted(1.0, shuffled=True) < 40


def test_parts_of_a_batch_and_a_stop_move_nothing() -> None:
    data = dial(0.6)
    how = Descent((0.3, 0.03), 10)
    batches = list(_batches(data.train, data.labels, 30, 2))
    whole = Layers(24, 5, how, seed=0)
    for features, labels in batches:
        whole.step(features, labels, 30)
    first = Layers(24, 5, how, seed=0)
    for features, labels in batches[:4]:
        first.step(features, labels, 30)
    second = Layers(24, 5, how, seed=9)
    second.load(first.state())
    for features, labels in batches[4:]:
        second.step(features, labels, 30)
    for one, other in zip(_tensors(whole), _tensors(second), strict=True):
        assert torch.equal(one[0], other[0])
        assert torch.equal(one[1], other[1])


def test_the_best_is_finite_and_the_first_of_equals() -> None:
    assert best([50.0, 70.0, 70.0], [True] * 3) == 1
    assert best([90.0, 10.0], [False, True]) == 1
    with pytest.raises(ProbeError, match="no rate gave finite numbers; lower PROBE.LINEAR.RATES"):
        best([1.0], [False])
