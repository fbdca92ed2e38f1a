"""Few-shot episodes are what the protocol says, and the interval covers the truth as often as it claims."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tests.transfer.probes.dial import dial
from transfer.probes import episodes


def test_an_episode_by_hand() -> None:
    """Nearest class mean over the same draws, by loops; the mean and 1.96 standard errors."""
    data = dial(0.6, classes=6, width=8, each=12)
    x, y = data.train.numpy(), data.labels.numpy()
    members = [np.flatnonzero(y == c) for c in range(6)]
    values = []
    for number in range(20):
        rows = episodes.draw(members, 3, 7, seed=5, number=number)
        assert len(set(rows.ravel())) == 21
        assert all(len(set(y[part])) == 1 for part in rows)
        assert len({y[part[0]] for part in rows}) == 3
        means = [x[part[:4]].mean(0) for part in rows]
        right = [
            min(range(3), key=lambda c: ((x[row] - means[c]) ** 2).sum()) == own
            for own, part in enumerate(rows)
            for row in part[4:]
        ]
        values.append(100 * np.mean(right))
    found = episodes.few_shot(data.train, data.labels, 4, seed=5, ways=3, queries=3, episodes=20)
    assert found.episodes.tolist() == pytest.approx(values)
    assert found.mean == pytest.approx(np.mean(values))
    assert found.interval == pytest.approx(1.96 * np.std(values, ddof=1) / math.sqrt(20))


def test_the_seed_decides() -> None:
    data = dial(0.5)
    one, same, other = (
        episodes.few_shot(data.train, data.labels, 5, seed, queries=5, episodes=8).episodes
        for seed in (1, 1, 2)
    )
    assert one.equal(same)
    assert not one.equal(other)


def test_every_image_has_its_turn() -> None:
    """Classes and images are drawn evenly: 5-sigma bounds of binomials."""
    members = [np.arange(10 * c, 10 * c + 10) for c in range(8)]
    counts = np.zeros(80)
    for number in range(1000):
        counts[episodes.draw(members, 4, 5, seed=0, number=number)] += 1
    assert np.abs(counts - 250).max() < 5 * math.sqrt(1000 * 0.25 * 0.75)


def test_the_interval_covers_the_mean() -> None:
    """Of 40 intervals of 30 episodes, about 38 hold the mean of all 1200; fewer than 33 has p < 1e-3."""
    data = dial(0.5, each=12)
    runs = [episodes.few_shot(data.train, data.labels, 2, s, queries=5, episodes=30) for s in range(40)]
    truth = np.mean([run.mean for run in runs])
    assert 33 <= sum(abs(run.mean - truth) <= run.interval for run in runs) <= 40


def test_more_shots_tell_more() -> None:
    data = dial(0.5)
    few, many = (
        episodes.few_shot(data.train, data.labels, shots, 0, queries=10, episodes=10) for shots in (1, 15)
    )
    assert few.mean + few.interval < many.mean - many.interval
