"""Rank correlations against scipy: values, exact and drawn permutation tests, bootstrap intervals."""

from __future__ import annotations

import random

import pytest
from scipy import stats

from results.evidence.ranks import (
    EXACT,
    Statistic,
    bootstrap_interval,
    correlation,
    kendall,
    permutation_p,
    ranks,
    spearman,
)

ORACLES = {
    spearman: lambda x, y: stats.spearmanr(x, y).statistic,
    kendall: lambda x, y: stats.kendalltau(x, y, variant="b").statistic,
}


def columns(rng: random.Random, n: int, ties: bool) -> tuple[list[float], list[float]]:
    x = [rng.gauss(0, 1) for _ in range(n)]
    y = [a + rng.gauss(0, 1) for a in x]
    return ([float(round(a)) for a in x], [float(round(b)) for b in y]) if ties else (x, y)


def test_ranks_share_the_mean_of_equal_values() -> None:
    assert ranks([3.0, 1.0, 3.0, 2.0]) == [3.5, 1.0, 3.5, 2.0]


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("statistic", ORACLES)
def test_values_are_those_of_scipy(statistic: Statistic, ties: bool) -> None:
    rng = random.Random(0)
    for _ in range(100):
        x, y = columns(rng, rng.randint(4, 12), ties)
        found = statistic(x, y)
        if found is None:
            assert len(set(x)) == 1 or len(set(y)) == 1
        else:
            assert found == pytest.approx(float(ORACLES[statistic](x, y)), abs=1e-12)


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("statistic", ORACLES)
def test_the_exact_test_is_that_of_scipy(statistic: Statistic, ties: bool) -> None:
    """scipy goes through the pairings with the oracle's own correlation."""
    rng = random.Random(1)
    for n in (4, 5):
        x, y = columns(rng, n, ties)
        oracle = stats.permutation_test(
            (x,), lambda order, y=y: abs(ORACLES[statistic](order, y)), permutation_type="pairings",
            alternative="greater", vectorized=False, n_resamples=10_000,
        )  # fmt: skip
        assert permutation_p(statistic, x, y) == pytest.approx(float(oracle.pvalue))
    # Kendall's exact distribution has no ties; scipy has it for every n
    x, y = columns(rng, EXACT, ties=False)
    expected = float(stats.kendalltau(x, y, method="exact").pvalue)
    assert permutation_p(kendall, x, y) == pytest.approx(expected)


def test_beyond_the_exact_test_orders_are_drawn() -> None:
    x, y = columns(random.Random(2), EXACT + 3, ties=False)
    expected = float(stats.kendalltau(x, y, method="exact").pvalue)
    assert permutation_p(kendall, x, y) == pytest.approx(expected, abs=0.025)  # four deviations of 5000 draws
    assert permutation_p(kendall, x, y) == permutation_p(kendall, x, y), "the page repeats itself"


def test_the_bootstrap_is_that_of_scipy() -> None:
    x, y = columns(random.Random(3), 10, ties=False)
    found = bootstrap_interval(spearman, x, y)
    oracle = stats.bootstrap(
        (x, y), lambda a, b: ORACLES[spearman](a, b), paired=True, vectorized=False, n_resamples=3000,
        method="percentile", rng=1,
    ).confidence_interval  # fmt: skip
    assert found is not None
    assert found == pytest.approx((float(oracle.low), float(oracle.high)), abs=0.05)


def test_what_has_no_correlation() -> None:
    assert correlation(spearman, [1.0, 2.0, 3.0], [1.0, 2.0, 3.0]) is None
    assert correlation(kendall, [1.0] * 5, [1.0, 2.0, 3.0, 4.0, 5.0]) is None
    found = correlation(kendall, [1.0, 2.0, 3.0, 4.0, 5.0], [1.0, 2.0, 3.0, 4.0, 5.0])
    assert found is not None
    assert (found.value, found.p, found.n) == (1.0, pytest.approx(2 / 120), 5)
