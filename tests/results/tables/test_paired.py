"""Differences of rows by seed against scipy, and the sign-flip test against an enumeration by hand."""

from __future__ import annotations

import itertools
import random
from fractions import Fraction

import pytest
from scipy import stats

from results.tables.paired import MOST_PAIRS, difference, holm, pair_differences, sign_flip_p


def drawn(
    rng: random.Random, n: int, mean: float, seeds: range | None = None
) -> tuple[tuple[int, float], ...]:
    return tuple((seed, rng.gauss(mean, 0.8)) for seed in seeds or range(n))


def values(row: tuple[tuple[int, float], ...]) -> list[float]:
    return [value for _, value in row]


def test_a_paired_difference_is_that_of_scipy() -> None:
    rng = random.Random(0)
    for _ in range(100):
        n = rng.randint(2, 9)
        ours, theirs = drawn(rng, n, 50.0), drawn(rng, n, 50 + rng.choice([0, 0.3, 5]))
        found = difference(ours, theirs)
        oracle = stats.ttest_rel(values(ours), values(theirs))
        assert found.p == pytest.approx(float(oracle.pvalue), rel=1e-9)
        interval = oracle.confidence_interval(0.95)
        assert found.interval == pytest.approx((float(interval.low), float(interval.high)), rel=1e-9)
        assert (found.pairs, found.test) == (n, f"paired t over {n} seeds")


def test_pairs_are_made_by_seed_and_not_by_place() -> None:
    ours = ((0, 1.0), (1, 5.0), (2, 9.5))
    theirs = ((2, 9.0), (0, 0.0), (1, 4.25))
    assert pair_differences(ours, theirs) == [1.0, 0.75, 0.5]
    found = difference(ours, theirs)
    assert found.p == pytest.approx(float(stats.ttest_1samp([1.0, 0.75, 0.5], 0).pvalue), rel=1e-9)


def test_without_the_same_seeds_it_is_welchs_test() -> None:
    rng = random.Random(1)
    ours = drawn(rng, 5, 50.0)
    # other seeds, one seed more, and a seed that is there twice
    repeated = (*drawn(rng, 4, 51.0), (0, 51.5))
    for theirs in (drawn(rng, 5, 51.0, range(1, 6)), drawn(rng, 6, 51.0), repeated):
        found = difference(ours, theirs)
        oracle = stats.ttest_ind(values(ours), values(theirs), equal_var=False)
        interval = oracle.confidence_interval(0.95)
        assert found.p == pytest.approx(float(oracle.pvalue), rel=1e-9)
        assert found.interval == pytest.approx((float(interval.low), float(interval.high)), rel=1e-9)
        assert (found.pairs, found.test) == (0, "Welch's t over trials")


def test_no_test_of_one_pair_or_of_equal_differences() -> None:
    assert difference(((0, 1.0),), ((0, 3.0),)).p is None
    # 0.3 - 0.1 and 0.2 - 0.0 differ in the last bit, which is no spread
    rounded = difference(((0, 0.3), (1, 0.2), (2, 0.8)), ((0, 0.1), (1, 0.0), (2, 0.6)))
    assert (rounded.p, rounded.half, rounded.interval, rounded.test) == (None, None, None, "")
    assert rounded.gap == pytest.approx(0.2)
    assert difference(((0, 1.0),), ((1, 3.0), (2, 4.0))).p is None


def by_hand(differences: list[float]) -> float:
    """All 2^n changes of signs, one by one, in exact numbers."""
    exact = [Fraction(str(value)) for value in differences]
    signs = list(itertools.product((1, -1), repeat=len(exact)))
    sums = [abs(sum(s * value for s, value in zip(sign, exact, strict=True))) for sign in signs]
    return sum(total >= abs(sum(exact)) for total in sums) / len(signs)


def test_sign_flips_equal_the_enumeration() -> None:
    rng = random.Random(2)
    for n in range(2, 11):
        for _ in range(20):
            # rounded, so that sums are equal to the observed one in truth and not in floating point
            found = [round(rng.gauss(0.4, 1), 1) for _ in range(n)]
            assert sign_flip_p(found) == by_hand(found), found


def test_sign_flips_are_those_of_scipy() -> None:
    rng = random.Random(3)
    for n in (3, 5, 8):
        found = [rng.gauss(0.5, 1) for _ in range(n)]
        oracle = stats.permutation_test(
            (found,), lambda x: abs(x.mean()), permutation_type="samples", alternative="greater"
        )  # fmt: skip
        assert sign_flip_p(found) == pytest.approx(float(oracle.pvalue))


def test_the_least_that_pairs_can_show() -> None:
    assert sign_flip_p([1.0, 2.0, 1.5, 3.0, 0.5]) == 2 / 2**5
    assert sign_flip_p([0.0, 0.0, 0.0]) == 1.0
    assert sign_flip_p([1.0]) is None
    assert sign_flip_p([1.0] * MOST_PAIRS) == 2 / 2**MOST_PAIRS
    assert sign_flip_p([1.0] * (MOST_PAIRS + 1)) is None


def holm_by_definition(p_values: list[float], level: float) -> list[bool]:
    """Step by step from the smallest, against level / (m - k + 1); the first that fails ends it."""
    rejected = [False] * len(p_values)
    for k, i in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        if p_values[i] >= level / (len(p_values) - k):
            break
        rejected[i] = True
    return rejected


def test_holm_rejects_what_its_steps_reject() -> None:
    rng = random.Random(4)
    for _ in range(300):
        p_values = [rng.random() ** 4 for _ in range(rng.randint(1, 8))]
        for level in (0.01, 0.05, 0.3):
            assert [p < level for p in holm(p_values)] == holm_by_definition(p_values, level)
    assert holm([0.03]) == [0.03]
    assert holm([]) == []
    assert holm([None, 0.03, None, 0.02]) == [None, 0.04, None, 0.04], "what was not tested does not count"
    assert holm([0.04, 0.01, 0.04]) == pytest.approx([0.08, 0.03, 0.08])
