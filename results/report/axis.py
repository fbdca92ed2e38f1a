"""Chooses the ends and the ticks of an axis."""

from __future__ import annotations

import math
from collections.abc import Sequence


def nice_range(values: Sequence[float], most: int = 6) -> tuple[float, float, float]:
    """(low, high, step) of an axis around finite values: at most `most` steps of 1, 2, 5, 10 ..."""
    least, greatest = min(values), max(values)
    spread = (greatest - least) or abs(greatest) or 1.0
    power = 10.0 ** math.floor(math.log10(spread / most))
    for step in (power * factor for factor in (1, 2, 5, 10, 20)):
        low, high = math.floor(least / step), math.ceil(greatest / step)
        if high - low <= most:
            break
    return low * step, max(high, low + 1) * step, step
