"""Draws the random numbers of a run, all of them: each is a function of the seed and of its place in the run.

Nothing random is carried from one step to the next, so a run that is resumed draws what it would have drawn.
The keys below are the whole table; no two draws of one generator share a key.

    data order             numpy   [seed, epoch]
    augmentation           numpy   [seed, 1, epoch, index]
    a step of training     torch   [seed, 0, iteration, place]
    a step of precise BN   torch   [seed, 1, iteration, rank]
    a model's first values torch   [seed, 2, 0, 0]
"""

from __future__ import annotations

import numpy as np
import torch

TRAINING, STATISTICS, INIT = 0, 1, 2  # streams of torch's generator
_AUGMENTATION = 1


def order_generator(seed: int, epoch: int) -> np.random.Generator:
    """Draws the order of the images of an epoch, and which rare ones come once more."""
    return np.random.default_rng([seed, epoch])


def augmentation_generator(seed: int, epoch: int, index: int) -> np.random.Generator:
    """Draws scale, crop and flip of the image that has the number `index` in its epoch."""
    return np.random.default_rng([seed, _AUGMENTATION, epoch, index])


def seed_torch(seed: int, stream: int, iteration: int = 0, place: int = 0) -> None:
    """Seeds torch's generators for one step; `place` keeps processes and their micro-steps apart."""
    torch.manual_seed(int(np.random.SeedSequence([seed, stream, iteration, place]).generate_state(1)[0]))
