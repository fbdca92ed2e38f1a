"""Computes learning rates as pure functions of the iteration: no optimizer, no state."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pretrain.optimizers.schedules import warm_cosine


def step_schedule(base: float, milestones: Sequence[int], per_epoch: int) -> Callable[[int], float]:
    """x0.1 at each milestone (epochs): MoCo v1, by default at 120 and 160 of 200."""
    return lambda iteration: (
        base * 0.1 ** sum(iteration // per_epoch >= milestone for milestone in milestones)
    )


def cosine_schedule(base: float, total: int, per_epoch: int | None = None) -> Callable[[int], float]:
    """Half a cosine from `base` to 0 over `total` iterations (--cos, MoCo v2).

    With `per_epoch` the rate is constant within an epoch, as published; without, it falls at every iteration.
    """
    return warm_cosine(base, total=total, per_epoch=per_epoch)


def decay_schedule(base: float, factor: float, every: int) -> Callable[[int], float]:
    """x`factor` every `every` iterations: the paper's IG-1B run is 0.12 x 0.9 every 62.5 k of 1.25 M."""
    return lambda iteration: base * factor ** (iteration // every)


def choose_schedule(
    base: float,
    *,
    total: int,
    per_epoch: int,
    cosine: bool,
    by_epoch: bool,
    milestones: Sequence[int],
    decay: float,
    decay_every: int | None,
) -> Callable[[int], float]:
    """Decay by iterations where it is asked for, else the cosine, else steps at epochs."""
    if decay_every:
        return decay_schedule(base, decay, decay_every)
    if cosine:
        return cosine_schedule(base, total, per_epoch if by_epoch else None)
    return step_schedule(base, milestones, per_epoch)
