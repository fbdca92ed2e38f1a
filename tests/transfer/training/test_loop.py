"""The loop itself: a stop signal ends it behind a saved step, and it goes on to the same bits."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
from torch import Tensor, nn

from tests.transfer.fake_engine import FakeEngine, fake_batches
from transfer.errors import Interrupted
from transfer.process.distributed import World, launch
from transfer.recipes.resolve import load_recipe
from transfer.samples.sample import Sample
from transfer.training.checkpoint import load_checkpoint
from transfer.training.learner import Learner
from transfer.training.loop import train
from transfer.training.saver import Saver
from transfer.training.watcher import Watcher

CPU = torch.device("cpu")


class _Stopped(FakeEngine):
    """Its process gets SIGTERM in the middle of iteration `at`."""

    def __init__(self, at: int, start: int = 0):
        super().__init__(start=start)
        self.at = at

    def losses(self, model: nn.Module, batch: Sequence[Sample]) -> dict[str, Tensor]:
        if self.iteration == self.at:
            os.kill(os.getpid(), signal.SIGTERM)
        return super().losses(model, batch)


def _train(engine: FakeEngine, world: World, directory: Path, micro_steps: int = 1) -> tuple[int, float]:
    """Six iterations with one checkpoint at their end; returns how many batches were taken, and a weight."""
    keys = [("SOLVER.MAX_ITER", 6), ("SOLVER.CHECKPOINT_PERIOD", 100), ("SOLVER.IMS_PER_BATCH", 4)]
    cfg = load_recipe("voc_c4", [*keys, ("SOLVER.BASE_LR", 0.1)])
    torch.manual_seed(0)
    learner = Learner(engine, engine.build(cfg, CPU), cfg, 0, world, micro_steps)
    data = fake_batches(world)
    taken = 0

    def counted(start: int) -> Any:
        nonlocal taken
        for batch in data(start * micro_steps):
            taken += 1
            yield batch

    train(cfg, learner, counted, Saver(directory, learner), Watcher(learner))
    return taken, float(learner.model.weight.detach())  # type: ignore[arg-type]


def test_a_stop_signal_ends_the_run_behind_a_saved_step(tmp_path: Path) -> None:
    alone = World(0, 1, CPU)
    _, whole = _train(FakeEngine(), alone, tmp_path / "whole")
    told = re.escape("signal SIGTERM after iteration 3 of 6; state saved")
    with pytest.raises(Interrupted, match=f"^{told}$"):
        _train(_Stopped(at=2), alone, tmp_path / "parts")
    saved = load_checkpoint(tmp_path / "parts")
    assert saved is not None
    assert saved.iteration == 3
    taken, parts = _train(FakeEngine(start=3), alone, tmp_path / "parts")
    assert taken == 3, "the data go on where they were"
    assert parts == whole


@pytest.mark.parametrize("micro_steps", [1, 3])
def test_no_input_is_taken_that_no_step_needs(micro_steps: int, tmp_path: Path) -> None:
    taken, _ = _train(FakeEngine(), World(0, 1, CPU), tmp_path, micro_steps)
    assert taken == 6 * micro_steps
    taken, _ = _train(FakeEngine(), World(0, 1, CPU), tmp_path, micro_steps)
    assert taken == 0, "it is finished"


def _stopped_on_one(world: World, directory: Path) -> list[str]:
    told: list[Any] = [None] * world.size
    engine = _Stopped(at=2) if world.rank == 1 else FakeEngine()
    with pytest.raises(Interrupted) as caught:
        _train(engine, world, directory)
    dist.all_gather_object(told, str(caught.value))
    return told


@pytest.mark.usefixtures("forked_processes")
def test_a_signal_to_one_process_ends_all_of_them(tmp_path: Path) -> None:
    mine, other = launch(_stopped_on_one, 2, CPU, tmp_path)
    assert mine == "signal to another process after iteration 3 of 6; state saved"
    assert other == "signal SIGTERM after iteration 3 of 6; state saved"
    saved = load_checkpoint(tmp_path)
    assert saved is not None
    assert saved.iteration == 3
