"""The draws of a run are functions of their keys, which may never change: runs were made with them."""

from __future__ import annotations

import numpy as np
import torch

from transfer.process.draws import (
    INIT,
    STATISTICS,
    TRAINING,
    augmentation_generator,
    order_generator,
    seed_torch,
)


def test_the_keys_are_those_that_runs_were_made_with() -> None:
    """Another key is another order, another crop or another initialisation: numbers move."""
    assert order_generator(7, 3).random() == np.random.default_rng([7, 3]).random()
    assert augmentation_generator(7, 3, 5).random() == np.random.default_rng([7, 1, 3, 5]).random()
    for stream, number in ((TRAINING, 0), (STATISTICS, 1), (INIT, 2)):
        seed_torch(7, stream, 3, 5)
        assert torch.initial_seed() == int(np.random.SeedSequence([7, number, 3, 5]).generate_state(1)[0])
    seed_torch(7, INIT)
    assert torch.initial_seed() == int(np.random.SeedSequence([7, 2, 0, 0]).generate_state(1)[0])


def test_equal_keys_draw_alike_and_others_do_not() -> None:
    drawn = {}
    for key in ((0, TRAINING, 0, 0), (1, TRAINING, 0, 0), (0, STATISTICS, 0, 0), (0, TRAINING, 1, 0)):
        seed_torch(*key)
        drawn[key] = torch.rand(4)
        seed_torch(*key)
        assert torch.equal(torch.rand(4), drawn[key])
    assert len({tuple(values.tolist()) for values in drawn.values()}) == 4
