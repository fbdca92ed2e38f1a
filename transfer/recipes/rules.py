"""Defines the kinds of numbers that a recipe may hold, for the rules of `numbers` and of the families."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

LARGEST = 10**9  # of a whole number; a thousand times the longest schedule of the papers


@dataclass(frozen=True)
class Rule:
    """A demand on a value, as a test and in words."""

    holds: Callable[[Any], bool]
    expected: str


def whole(low: int, high: int = LARGEST) -> Rule:
    """Holds for whole numbers from `low` to `high`; True and 1.0 are none."""
    return Rule(lambda v: type(v) is int and low <= v <= high, f"a whole number from {low} to {high}")


def _finite(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value)


def each(rule: Rule, what: str, counts: tuple[int, ...] = (), least: int = 1, rising: bool = False) -> Rule:
    """Holds for a list whose items obey `rule`; `counts` are its lengths, all from `least` if empty."""

    def holds(values: Any) -> bool:
        if not isinstance(values, list | tuple) or not all(map(rule.holds, values)):
            return False
        fits = len(values) in counts if counts else len(values) >= least
        return fits and (not rising or all(a < b for a, b in pairwise(values)))

    return Rule(holds, what)


COUNT, NATURAL = whole(1), whole(0)
ANY = Rule(_finite, "a finite number")
ABOVE = Rule(lambda v: _finite(v) and v > 0, "a finite number above 0")
WEIGHT = Rule(lambda v: _finite(v) and v >= 0, "a finite number from 0")
SHARE = Rule(lambda v: _finite(v) and 0 <= v <= 1, "a number from 0 to 1")
PART = Rule(lambda v: _finite(v) and 0 < v <= 1, "a number above 0, up to 1")
MOMENTUM = Rule(lambda v: _finite(v) and 0 <= v < 1, "a number from 0, below 1")
SIZES = each(COUNT, "a list of whole numbers above 0")
STEPS = each(COUNT, "a list of whole numbers above 0, each larger than the one before", least=0, rising=True)
GROUPS = each(each(ABOVE, ""), "lists of numbers above 0, as in [[32, 64], [128, 256]]")
