"""Welch's test against a slow integration of the density, textbook values and scipy."""

from __future__ import annotations

import math
import random

import pytest
from scipy import special, stats

from results.tables import significance
from results.tables.significance import incomplete_beta, student_t_two_sided, summarize


def welch_p(a: list[float], b: list[float]) -> float | None:
    return significance.welch_p(summarize(a), summarize(b))


def tail_by_integration(t: float, df: float, steps: int = 20_000) -> float:
    """P(|T| >= t) from the density alone, Simpson's rule in x = t / u so that the tail becomes (0, 1]."""
    scale = math.lgamma((df + 1) / 2) - math.lgamma(df / 2) - math.log(df * math.pi) / 2 + math.log(t)

    def integrand(u: float) -> float:
        # dx = t / u^2 du; in logarithms, as the powers overflow one by one
        if u == 0:
            return 0.0  # for df > 1
        return math.exp(scale + (df - 1) * math.log(u) - (df + 1) / 2 * math.log(u * u + t * t / df))

    h = 1 / steps
    odd = math.fsum(integrand((2 * i + 1) * h) for i in range(steps // 2))
    even = math.fsum(integrand(2 * i * h) for i in range(1, steps // 2))
    return 2 * h / 3 * (integrand(0.0) + 4 * odd + 2 * even + integrand(1.0))


@pytest.mark.parametrize("df", [2.0, 3.7, 4.0, 8.0, 31.4, 200.0])
@pytest.mark.parametrize("t", [0.3, 1.0, 2.5, 9.0, 40.0])
def test_student_t_equals_the_integral_of_its_density(t: float, df: float) -> None:
    assert student_t_two_sided(t, df) == pytest.approx(tail_by_integration(t, df), rel=1e-7, abs=1e-13)


def test_textbook_quantiles() -> None:
    # two-sided 5 % points of the printed t tables
    for t, df in ((12.706205, 1), (4.302653, 2), (2.776445, 4), (2.306004, 8), (1.959964, 1e7)):
        assert student_t_two_sided(t, df) == pytest.approx(0.05, abs=1e-6)


def test_incomplete_beta_in_closed_form() -> None:
    for x in (0.01, 0.3, 0.5, 0.9, 0.999):
        assert incomplete_beta(1, 1, x) == pytest.approx(x, rel=1e-13)
        assert incomplete_beta(3, 1, x) == pytest.approx(x**3, rel=1e-13)
        assert incomplete_beta(0.5, 0.5, x) == pytest.approx(2 / math.pi * math.asin(math.sqrt(x)), rel=1e-12)


@pytest.mark.parametrize("df", [1.0, 2.5, 4.0, 8.0, 31.4, 200.0])
def test_student_t_is_that_of_scipy(df: float) -> None:
    for t in (0.0, 1e-3, 0.3, 1.0, 2.5, 9.0, 40.0):
        assert student_t_two_sided(t, df) == pytest.approx(2 * special.stdtr(df, -t), rel=1e-12)


def test_welch_is_that_of_scipy() -> None:
    rng = random.Random(0)
    for _ in range(200):
        a = [rng.gauss(50, 0.2) for _ in range(rng.randint(2, 9))]
        b = [rng.gauss(50 + rng.choice([0, 0.3, 5]), 0.8) for _ in range(rng.randint(2, 9))]
        expected = float(stats.ttest_ind(a, b, equal_var=False).pvalue)
        assert welch_p(a, b) == pytest.approx(expected, rel=1e-12)


def test_welch_by_hand() -> None:
    # means 2 and 5, variances 1 and 4, n = 3: t = -3 / sqrt(5/3), df = (5/3)^2 / ((1/9 + 16/9) / 2) = 50/17
    p = welch_p([1, 2, 3], [3, 5, 7])
    assert p == pytest.approx(tail_by_integration(3 / math.sqrt(5 / 3), 50 / 17), rel=1e-7)


def test_no_test_without_two_trials_or_without_spread() -> None:
    assert welch_p([1.0], [1.0, 2.0]) is None
    assert welch_p([1.0, 2.0], [3.0]) is None
    assert welch_p([1.0, 1.0], [2.0, 2.0]) is None
    assert welch_p([1.0, 1.0], [2.0, 2.1]) is not None
    assert summarize([0.1] * 3).std != 0, "by rounding"
    assert welch_p([0.1] * 3, [0.0] * 2) is None


def test_summary() -> None:
    assert summarize([1.0, 2.0, 3.0, 6.0]) == (3.0, pytest.approx(math.sqrt(14 / 3)), 4)
    assert summarize([4.0]) == (4.0, None, 1)
