"""Intervals and tests of accuracies against scipy's bootstrap, closed forms and simulations."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from results.images.means import MeanOf
from results.images.measure import SEEN, counted, interval
from results.images.signs import mcnemar


def accuracy(right: np.ndarray) -> MeanOf:
    return MeanOf(right.astype(float), np.zeros(len(right), int))


def test_values_by_hand() -> None:
    right = np.array([1.0, 1, 0, 1, 0, 0])
    assert accuracy(right).value() == 50.0
    by_class = MeanOf(right, np.array([7, 7, 7, 7, 2, 2]))
    assert by_class.value() == pytest.approx(100 * (3 / 4 + 0 / 2) / 2)
    assert (by_class.scores * by_class.weights).sum() * 100 == pytest.approx(by_class.value())


def test_the_interval_is_that_of_the_binomial_distribution() -> None:
    """A bootstrap of n images of which k are right draws a binomial number: its quantiles are known."""
    n, k = 3669, 3200
    right = np.arange(n) < k
    ends = interval(accuracy(right).resampled(20_000))
    oracle = 100 * stats.binom.ppf([0.025, 0.975], n, k / n) / n
    assert ends == pytest.approx(tuple(oracle), abs=0.04)


def test_percentiles_and_bca_against_scipy() -> None:
    rng = np.random.default_rng(0)
    right = (rng.random(2000) < 0.9).astype(float)
    ends = interval(accuracy(right).resampled())
    for method, near in (("percentile", 0.1), ("BCa", 0.2)):
        oracle = stats.bootstrap(
            (right,), np.mean, method=method, n_resamples=4999, batch=500, rng=np.random.default_rng(1)
        ).confidence_interval
        assert ends == pytest.approx((100 * oracle.low, 100 * oracle.high), abs=near), method


def test_samples_are_drawn_within_classes() -> None:
    rng = np.random.default_rng(2)
    sizes = np.array([20, 50, 400])
    classes = np.repeat([3, 5, 9], sizes)
    right = (rng.random(len(classes)) < 0.6).astype(float)
    made = MeanOf(right, classes)
    shares = np.array([right[classes == c].mean() for c in (3, 5, 9)])
    oracle = 100 * np.sqrt((shares * (1 - shares) / sizes).sum()) / 3
    assert made.resampled(20_000).std() == pytest.approx(oracle, rel=0.02)


def test_small_classes_spread_as_their_images_do() -> None:
    """A sample of m images has (m - 1) / m of the variance that they tell of; one image alone has none."""
    rng = np.random.default_rng(4)
    right = rng.random(150) < 0.6
    pairs = MeanOf(right[:100].astype(float), np.repeat(np.arange(50), 2))
    variances = right[:100].reshape(50, 2).var(axis=1, ddof=1) / 2
    assert pairs.resampled(20_000).std() == pytest.approx(100 * np.sqrt(variances.sum()) / 50, rel=0.02)
    alone = MeanOf(right[100:].astype(float), np.arange(50))
    oracle = 100 * right[100:].std(ddof=1) / np.sqrt(50)
    assert alone.resampled(20_000).std() == pytest.approx(oracle, rel=0.02)
    both = MeanOf(right.astype(float), np.concatenate([pairs.classes, 50 + alone.classes]))
    assert both.resampled(20_000).mean() == pytest.approx(both.value(), abs=0.1)


def test_scores_that_differ_everywhere() -> None:
    """Average precision by query: no two are alike, so each is drawn by itself."""
    scores = np.random.default_rng(3).random(3000)
    drawn = accuracy(scores > 2)  # the type alone
    made = MeanOf(scores, drawn.classes)
    found = made.resampled(2000)
    assert found.std() == pytest.approx(100 * scores.std() / np.sqrt(3000), rel=0.05)
    assert found.mean() == pytest.approx(made.value(), abs=0.05)


def test_two_rows_on_the_same_images() -> None:
    rng = np.random.default_rng(4)
    ours = rng.random(2000) < 0.7
    theirs = np.where(rng.random(2000) < 0.1, ~ours, ours)
    found = accuracy(ours).compared(accuracy(theirs), 5000)
    assert found is not None
    only = int((ours & ~theirs).sum()), int((theirs & ~ours).sum())
    assert found.p == mcnemar(*only)[0]
    assert found.test == "McNemar's exact test over 2000 images"
    assert found.mid_p == mcnemar(*only)[1]
    differences = ours.astype(float) - theirs
    error = 100 * differences.std() / np.sqrt(2000)
    assert found.seen == pytest.approx(SEEN * error, rel=0.03)
    gap = 100 * differences.mean()
    assert found.interval == pytest.approx((gap - 1.96 * error, gap + 1.96 * error), abs=0.1)


def test_mean_per_class_is_tested_by_permutation() -> None:
    classes = np.repeat([0, 1], [50, 1000])
    ours, theirs = np.ones(1050), np.ones(1050)
    theirs[:10] = 0.0  # of the small class, where an image counts twenty times as much
    ours[100:110] = 0.0
    found = MeanOf(ours, classes).compared(MeanOf(theirs, classes), 2000)
    plain = accuracy(ours).compared(accuracy(theirs), 2000)
    assert found is not None
    assert plain is not None
    assert found.test == "paired permutation over 1050 images"
    assert plain.p == 1.0, "ten against ten"
    assert found.p < 0.01
    assert found.mid_p is None


def test_no_spread_claims_nothing() -> None:
    right = np.ones(100)
    assert interval(accuracy(right).resampled(500)) is None
    assert accuracy(right).compared(accuracy(right), 500) is None


def test_the_smallest_gap_is_seen_in_four_of_five_cases() -> None:
    """Two networks disagree on a tenth of 4000 images; the true gap is what the test says that it can see."""
    rng = np.random.default_rng(5)
    n, apart = 4000, 0.1
    seen = SEEN * np.sqrt(apart / n)
    share = (apart + seen) / 2  # that ours alone is right
    counts = rng.multinomial(n, [share, apart - share, 1 - apart], size=1500)
    power = np.mean([mcnemar(int(a), int(b))[0] < 0.05 for a, b, _ in counts])
    assert power == pytest.approx(0.8, abs=0.035)


def test_intervals_hold_what_they_say() -> None:
    rng = np.random.default_rng(6)
    held = 0
    for _ in range(300):
        ends = interval(accuracy(rng.random(400) < 0.8).resampled(4000))
        assert ends is not None
        held += ends[0] <= 80.0 <= ends[1]
    assert held / 300 == pytest.approx(0.95, abs=0.035)


def test_a_test_counts_its_units_in_words() -> None:
    assert [counted(3, "query"), counted(3, "image")] == ["3 queries", "3 images"]
