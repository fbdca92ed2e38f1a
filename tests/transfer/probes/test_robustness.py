"""Corruption errors, subsets of classes, calibration and RankMe, each by its definition."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from tests.transfer.probes.dial import dial
from transfer.probes import calibration, robustness, spread

RANDOM = np.random.default_rng(0)


def test_mce_by_loops() -> None:
    """The mean over corruptions of the ratio of sums; relative: of what corruption adds to the error."""
    ours = {name: tuple(RANDOM.uniform(30, 90, 5)) for name in robustness.ALEXNET}
    ratios, relative = [], []
    for name, theirs in robustness.ALEXNET.items():
        ratios.append(sum(ours[name]) / sum(theirs))
        relative.append(sum(e - 24.0 for e in ours[name]) / sum(e - 43.478 for e in theirs))
    assert robustness.mean_corruption_error(ours) == pytest.approx(100 * np.mean(ratios))
    assert robustness.relative_corruption_error(ours, 24.0) == pytest.approx(100 * np.mean(relative))
    assert robustness.mean_error(ours) == pytest.approx(np.mean([ours[name] for name in ours]))


def test_alexnet_is_the_unit() -> None:
    """Its clean error is torchvision's, and its 15 standard corruptions are those without the extra four."""
    weights = pytest.importorskip("torchvision.models").AlexNet_Weights.IMAGENET1K_V1
    clean = 100 - weights.meta["_metrics"]["ImageNet-1K"]["acc@1"]
    assert pytest.approx(clean) == robustness.ALEXNET_CLEAN
    assert len(robustness.ALEXNET) == 15
    assert robustness.mean_corruption_error(robustness.ALEXNET) == pytest.approx(100)
    assert robustness.relative_corruption_error(robustness.ALEXNET, clean) == pytest.approx(100)
    means = [np.mean(errors) / 100 for errors in robustness.ALEXNET.values()]
    # as google-research/augmix's imagenet.py has them, in this order
    published = [0.886428, 0.894468, 0.922640, 0.819880, 0.826268, 0.785948, 0.798360, 0.866816]
    published += [0.826572, 0.819324, 0.564592, 0.853204, 0.646056, 0.717840, 0.606500]
    assert means == pytest.approx(published, abs=1e-6)


def test_a_subset_of_classes_is_struck_out_before_the_greatest() -> None:
    scores = RANDOM.standard_normal((50, 12))
    classes = [1, 4, 5, 9]
    labels = RANDOM.choice(classes, 50)
    right = [max(classes, key=lambda c: row[c]) == y for row, y in zip(scores, labels, strict=True)]
    assert robustness.top1(scores, labels, classes) == pytest.approx(100 * np.mean(right))
    assert robustness.top1(scores, labels, classes[::-1]) == pytest.approx(100 * np.mean(right))
    whole = robustness.top1(scores, labels)
    assert whole == pytest.approx(100 * np.mean(scores.argmax(1) == labels))
    assert whole < robustness.top1(scores, labels, classes)


def slow_calibration(logits: np.ndarray, labels: np.ndarray, bins: int) -> tuple[float, float, float]:
    chance = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    ece = 0.0
    for i in range(bins):
        inside = [r for r, c in enumerate(chance.max(1)) if i / bins < c <= (i + 1) / bins]
        if inside:
            right = np.mean([chance[r].argmax() == labels[r] for r in inside])
            ece += len(inside) / len(labels) * abs(right - np.mean([chance[r].max() for r in inside]))
    truth = np.eye(logits.shape[1])[labels]
    return 100 * ece, -np.log((chance * truth).sum(1)).mean(), ((chance - truth) ** 2).sum(1).mean()


def test_calibration_by_loops() -> None:
    logits, labels = 2 * RANDOM.standard_normal((200, 4)), RANDOM.integers(4, size=200)
    for temperature in (1.0, 3.0):
        found = calibration.calibration(logits, labels, temperature)
        ece, nll, brier = slow_calibration(logits / temperature, labels, 15)
        assert (found.ece, found.nll, found.brier) == pytest.approx((ece, nll, brier))
    sure = calibration.calibration([[100.0, 0.0], [0.0, 100.0]], [0, 1])
    assert (sure.ece, sure.brier) == pytest.approx((0, 0), abs=1e-9)


def test_the_temperature_that_was_put_in_is_found() -> None:
    """Labels are drawn from softmax(logits); of logits five times as large the temperature is 5."""
    logits = 2 * RANDOM.standard_normal((4000, 3))
    chance = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    labels = (chance.cumsum(1) > RANDOM.random((4000, 1))).argmax(1)
    assert calibration.best_temperature(5 * logits, labels) == pytest.approx(5, rel=0.1)
    found = calibration.best_temperature(logits, labels)
    grid = [calibration.calibration(logits, labels, found * f).nll for f in (0.98, 1.0, 1.02)]
    assert grid[1] == min(grid)


def test_rank_me_by_its_definition() -> None:
    x = RANDOM.standard_normal((40, 6)) * [5, 3, 1, 1, 0.1, 0.01]
    power = np.linalg.eigvalsh(x.T @ x)
    share = np.sqrt(power) / np.sqrt(power).sum() + 1e-7
    assert spread.rank_me(x) == pytest.approx(math.exp(-sum(p * math.log(p) for p in share)))
    basis = np.linalg.qr(RANDOM.standard_normal((40, 6)))[0]
    assert spread.rank_me(basis) == pytest.approx(6, rel=1e-4)
    assert spread.rank_me(np.outer(np.arange(1, 41), np.ones(6))) == pytest.approx(1, rel=1e-4)


def test_norms() -> None:
    found = spread.norms(torch.tensor([[3.0, 4.0], [0.0, 1.0]]))
    assert (found.mean, found.least, found.greatest) == pytest.approx((3, 1, 5))
    assert found.deviation == pytest.approx(math.sqrt(8))


def test_rank_me_is_blind_to_the_quality() -> None:
    """It falls where accuracy rises, so nothing may be ranked by it."""
    ranks = [spread.rank_me(dial(q).train) for q in (0.0, 0.5, 1.0)]
    assert ranks == sorted(ranks, reverse=True)
