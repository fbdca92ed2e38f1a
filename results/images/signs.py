"""Tests paired differences of two networks on the same images, by the signs that they would have by chance.

Where each image is right or wrong it is McNemar's test (Psychometrika 12, 1947): of the images that only one
of the two gets right, either would get half. The exact p-value counts the binomial tail; the mid-p value
(Fagerland, Lydersen, Laake, BMC Medical Research Methodology 13, 2013) takes half of what was observed and is
less cautious. The exact one makes the stars, as no level of it is ever exceeded. Elsewhere the signs of the
differences are flipped (Fisher, The Design of Experiments, 1935, section 21): all of them, or seeded draws.
"""

from __future__ import annotations

import numpy as np

EXACT = 16  # differences other than 0, up to which all changes of signs are gone through: 2^15 sums
DRAWS = 10_000  # changes of signs beyond that; the least p-value is then 1 / 10,001
ROUNDING = 1e-9  # of the sum of all sizes: sums closer than that are equal
CHUNK = 4_000_000  # numbers drawn at a time


def mcnemar(only_ours: int, only_theirs: int) -> tuple[float, float]:
    """(exact, mid-p) two-sided p-values from the numbers of images that one network alone gets right.

    Both are 1 where there is no such image. Counted in whole numbers, so exact to the last bit.
    """
    n, k = only_ours + only_theirs, min(only_ours, only_theirs)
    if n == 0:
        return 1.0, 1.0
    term, tail = 1, 1  # n over i, and their sum up to k
    for i in range(k):
        term = term * (n - i) // (i + 1)
        tail += term
    whole = 1 << n
    # where both sides are equal the tails meet, and all of the middle would count twice
    exact = 1.0 if 2 * k == n else 2 * tail / whole
    mid = (2 * tail - term) / whole
    return exact, mid


def sign_flip(parts: np.ndarray) -> float:
    """Two-sided p-value of the sum of `parts`, (n,) paired differences, over changes of their signs.

    It is the share of the changes whose sum is at least as far from 0: of all up to EXACT parts other than 0,
    of DRAWS random ones and the observed one beyond. Equal parts are drawn together, as a binomial number.
    """
    parts = np.asarray(parts, float)
    sizes = np.abs(parts[parts != 0])
    least = abs(float(parts.sum())) - ROUNDING * float(sizes.sum())
    if len(sizes) <= EXACT:
        sums = np.zeros(1)
        for size in sizes[1:]:
            sums = np.concatenate([sums + size, sums - size])
        # the sign of the first stays: all sums have their mirror image
        return float((np.abs(sums + sizes[:1].sum()) >= least).mean())
    values, times = np.unique(sizes, return_counts=True)
    rng = np.random.default_rng(0)
    far, left, step = 0, DRAWS, max(1, CHUNK // len(values))
    while left:
        draws = min(step, left)
        positive = rng.binomial(times, 0.5, (draws, len(values)))
        far += int((np.abs((2 * positive - times) @ values) >= least).sum())
        left -= draws
    return (far + 1) / (DRAWS + 1)
