"""McNemar's test and the sign-flip test against scipy, published numbers and enumerations by hand."""

from __future__ import annotations

import itertools
from fractions import Fraction

import numpy as np
import pytest
from scipy import stats

from results.images.signs import EXACT, mcnemar, sign_flip


@pytest.mark.parametrize("pair", [(0, 0), (0, 5), (3, 3), (4, 3), (1, 7), (40, 62), (500, 300), (9000, 9200)])
def test_mcnemar_is_the_binomial_test_of_scipy(pair: tuple[int, int]) -> None:
    n, k = sum(pair), min(pair)
    exact, mid = mcnemar(*pair)
    assert exact == pytest.approx(stats.binomtest(k, n).pvalue if n else 1.0, rel=1e-9)
    half = stats.binom.pmf(k, n, 0.5)
    assert mid == pytest.approx(2 * stats.binom.cdf(k, n, 0.5) - half if n else 1.0, rel=1e-9)
    assert mcnemar(*pair[::-1]) == (exact, mid)


def test_mcnemar_of_a_published_table() -> None:
    """Fagerland, Lydersen, Laake 2013, airway hyper-responsiveness: 1 against 7 children."""
    exact, mid = mcnemar(1, 7)
    assert (round(exact, 3), round(mid, 3)) == (0.070, 0.039)


def by_hand(parts: list[float]) -> float:
    exact = [Fraction(str(value)) for value in parts]
    sums = [
        abs(sum(s * v for s, v in zip(signs, exact, strict=True)))
        for signs in itertools.product((1, -1), repeat=len(exact))
    ]
    return sum(total >= abs(sum(exact)) for total in sums) / len(sums)


def test_few_signs_are_all_gone_through() -> None:
    rng = np.random.default_rng(0)
    for n in range(1, 9):
        for _ in range(5):
            # rounded, so that sums are equal in truth and not in floating point; some are 0
            parts = np.round(rng.normal(0.3, 1, n), 1)
            assert sign_flip(parts) == by_hand(parts.tolist()), parts
    assert sign_flip(np.zeros(5)) == 1.0
    assert sign_flip(np.ones(EXACT)) == 2 / 2**EXACT


def test_many_signs_are_drawn() -> None:
    rng = np.random.default_rng(1)
    for shift in (0.0, 0.1, 0.2):
        parts = rng.normal(shift, 1, 60)
        oracle = stats.permutation_test(
            (parts,),
            lambda x, axis: np.abs(x.mean(axis=axis)),
            permutation_type="samples",
            alternative="greater",
            vectorized=True,
            n_resamples=4999,
            rng=np.random.default_rng(2),
        )
        assert sign_flip(parts) == pytest.approx(float(oracle.pvalue), abs=0.02)
        assert sign_flip(parts) == sign_flip(parts), "seeded"
    assert sign_flip(rng.normal(5, 1, 200)) == 1 / 10_001, "never 0"


def test_on_right_and_wrong_it_is_mcnemars_test() -> None:
    """SimCLR's permutation test of top-1 is McNemar's (B.8.1 of arXiv:2002.05709)."""
    parts = np.array([1.0] * 60 + [-1.0] * 38 + [0.0] * 900) / 998
    assert sign_flip(parts) == pytest.approx(mcnemar(60, 38)[0], abs=0.006)
