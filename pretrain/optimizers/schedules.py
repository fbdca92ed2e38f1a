"""Computes rates and weight decays as pure functions of the iteration: no optimizer, no state."""

from __future__ import annotations

import math
from collections.abc import Callable

Schedule = Callable[[int], float]


def constant(value: float) -> Schedule:
    return lambda iteration: value


def warm_cosine(
    base: float,
    *,
    total: int,
    end: float = 0.0,
    warmup: int = 0,
    start: float = 0.0,
    inclusive: bool = False,
    per_epoch: int | None = None,
) -> Schedule:
    """A line from `start` to `base` in `warmup` iterations, then half a cosine to `end` at iteration `total`.

    The base is first reached after the warm-up, as in BYOL, Barlow Twins and MoCo v3, or by its last
    iteration where that is `inclusive`, as in SwAV and DINO. With `per_epoch` iterations an epoch the value
    is constant within an epoch. A weight decay is such a cosine without a warm-up.
    """

    def value(iteration: int) -> float:
        done = iteration // per_epoch * per_epoch if per_epoch else iteration
        if done < warmup:
            return start + (base - start) * done / max(1, warmup - inclusive)
        falling = 1.0 + math.cos(math.pi * (done - warmup) / (total - warmup))
        return end + 0.5 * (base - end) * falling

    return value
