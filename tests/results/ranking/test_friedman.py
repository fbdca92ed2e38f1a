"""Ranks and their tests against scipy, published tables, and enumerations."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy import stats

from results.ranking.friedman import alike, critical_difference, friedman, mid_ranks, wilcoxon


def test_mid_ranks_are_those_of_scipy() -> None:
    rng = np.random.default_rng(0)
    values = rng.integers(0, 6, (7, 20)).astype(float)  # many ties
    assert np.array_equal(mid_ranks(values), stats.rankdata(-values, axis=0))
    assert mid_ranks(np.array([[0.1 + 0.2], [0.3], [0.2]])).tolist() == [[1.5], [1.5], [3.0]]


def test_friedmans_test_is_that_of_scipy() -> None:
    rng = np.random.default_rng(1)
    for ties in (False, True):
        for _ in range(10):
            values = rng.normal(0, 1, (5, 9)) + np.arange(5)[:, None] / 3
            values = np.round(values) if ties else values
            found = friedman(mid_ranks(values))
            oracle = stats.friedmanchisquare(*values)
            assert found is not None
            assert (found.chi2, found.p) == pytest.approx(
                (float(oracle.statistic), float(oracle.pvalue)), rel=1e-9
            )
            k, n = values.shape
            ratio = (n - 1) * found.chi2 / (n * (k - 1) - found.chi2)
            assert (found.f, found.f_p) == pytest.approx((ratio, stats.f.sf(ratio, k - 1, (k - 1) * (n - 1))))


def test_f_is_that_of_an_analysis_of_variance_of_ranks() -> None:
    """Iman and Davenport's F is the F of a two-way layout without interaction, on the ranks."""
    rng = np.random.default_rng(2)
    ranks = mid_ranks(rng.normal(0, 1, (4, 12)) + np.arange(4)[:, None])
    k, n = ranks.shape
    rows = n * ((ranks.mean(axis=1) - ranks.mean()) ** 2).sum() / (k - 1)
    error = ((ranks - ranks.mean(axis=1, keepdims=True)) ** 2).sum() / ((k - 1) * (n - 1))
    found = friedman(ranks)
    assert found is not None
    assert found.f == pytest.approx(rows / error)


def test_ends_of_friedmans_test() -> None:
    assert friedman(np.full((3, 4), 2.0)) is None, "all tied"
    agreed = friedman(np.repeat([[1.0], [2.0], [3.0]], 5, axis=1))
    assert agreed is not None
    assert (agreed.chi2, agreed.f, agreed.f_p) == (10.0, float("inf"), 0.0)


@pytest.mark.parametrize(
    ("k", "q"),
    # Demšar 2006, table 5 (a)
    [
        (2, 1.960),
        (3, 2.343),
        (4, 2.569),
        (5, 2.728),
        (6, 2.850),
        (7, 2.949),
        (8, 3.031),
        (9, 3.102),
        (10, 3.164),
    ],
)
def test_nemenyis_values_are_demsars(k: int, q: float) -> None:
    assert critical_difference(k, 11) == pytest.approx(q * np.sqrt(k * (k + 1) / 66), abs=0.002)


def by_hand(differences: np.ndarray) -> float:
    """All changes of signs of the ranks, by scipy's ranks."""
    left = differences[differences != 0]
    ranks = stats.rankdata(np.abs(left))
    observed = abs((np.sign(left) * ranks).sum())
    sums = [abs((np.array(s) * ranks).sum()) for s in itertools.product((1, -1), repeat=len(left))]
    return float(np.mean([total >= observed - 1e-9 for total in sums]))


def test_wilcoxons_test() -> None:
    rng = np.random.default_rng(3)
    for _ in range(6):
        differences = rng.normal(0.4, 1, 11)
        assert wilcoxon(differences)[0] == pytest.approx(
            float(stats.wilcoxon(differences, method="exact").pvalue)
        )
        tied = np.round(rng.normal(0.4, 1, 8))
        assert wilcoxon(tied)[0] == pytest.approx(by_hand(tied))
    assert wilcoxon(np.zeros(5)) == (1.0, 0)
    assert wilcoxon(np.ones(11)) == (2 / 2**11, 1)
    assert wilcoxon(np.array([*np.linspace(0.6, 1.5, 11), -20.0])) == (pytest.approx(0.034, abs=5e-4), 1)


def test_rows_that_are_not_told_apart() -> None:
    ranks = np.array([1.0, 4.0, 2.0, 6.0, 2.5])
    assert alike(ranks, 1.6) == [(0, 2), (2, 3)]
    assert alike(ranks, 0.4) == []
    assert alike(ranks, 9.0) == [(0, 4)]
    assert alike(np.array([1.0, 2.0, 3.0]), 1.0) == [(0, 1), (1, 2)], "a difference that is critical is none"
