"""Computes the steps of a training: the gradients of one iteration, then the update of the weights.

Serves both engines. A process may do the work of several, one after the other: in micro-steps.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from yacs.config import CfgNode

from transfer.engines.base import Engine
from transfer.process.distributed import World
from transfer.process.draws import TRAINING, seed_torch
from transfer.samples.sample import Sample
from transfer.training.precision import Precision


class Learner:
    """A model in training mode with its optimizer, schedule and precision."""

    def __init__(
        self, engine: Engine, model: nn.Module, cfg: CfgNode, seed: int, world: World, micro_steps: int = 1
    ):
        self.engine, self.model, self.seed, self.world = engine, model.train(), seed, world
        self.micro_steps = micro_steps  # processes that this one stands in for (`transfer.recipes.scaling`)
        self.optimizer, self.scheduler = engine.solver(cfg, model)
        self.precision = Precision(cfg, world.device)
        self._wrapped = _shared_among_processes(model, world) if world.size > 1 else model

    def gradients(self, iteration: int, parts: Sequence[Sequence[Sample]]) -> dict[str, Tensor]:
        """Leaves the gradients of the mean over all micro-steps of all processes in the model.

        `parts` holds a batch for each micro-step. Returns this process's mean losses, () each, by name.
        """
        self.optimizer.zero_grad(set_to_none=True)
        means: dict[str, Tensor] = {}
        for number, batch in enumerate(parts):
            seed_torch(self.seed, TRAINING, iteration, number * self.world.size + self.world.rank)
            last = number + 1 == len(parts)
            with nullcontext() if last else self._without_exchange():
                with self.precision.autocast():
                    losses = self.engine.losses(self._wrapped, batch)
                shares = {name: loss.float() / len(parts) for name, loss in losses.items()}
                self.precision.backward(torch.stack(list(shares.values())).sum())
            means = {name: means.get(name, 0) + share.detach() for name, share in shares.items()}
        self.precision.unscale(self.optimizer)
        return means

    def update(self) -> float:
        """Takes the optimizer's step, unless float16 overflowed; returns its largest learning rate."""
        rate = float(max(self.scheduler.get_last_lr()))
        self.precision.step(self.optimizer)
        self.scheduler.step()
        return rate

    def state(self) -> dict[str, Any]:
        """All that another Learner needs to go on; a checkpoint holds it."""
        return {
            "model": self.engine.state(self.model),
            "optimizer": self.optimizer.state_dict(),
            "scheduler": self.scheduler.state_dict(),
            "scaler": self.precision.state(),
            "formats": self.precision.formats,
        }

    def load(self, state: dict[str, Any]) -> None:
        """Restores what `state` gave, strictly."""
        self.engine.load_state(self.model, state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.scheduler.load_state_dict(state["scheduler"])
        self.precision.load(
            state["scaler"], state.get("formats", [])
        )  # none in checkpoints of 0.1 and before

    def _without_exchange(self) -> Any:
        """Gradients add up in this process; the last micro-step exchanges the sums."""
        shared = isinstance(self._wrapped, DistributedDataParallel)
        return self._wrapped.no_sync() if shared else nullcontext()  # type: ignore[operator]


def _shared_among_processes(model: nn.Module, world: World) -> nn.Module:
    """The model whose gradients are the mean of all processes'; each keeps running statistics of its own."""
    ids = [world.device.index] if world.device.type == "cuda" else None
    with warnings.catch_warnings():  # the new name of broadcast_buffers is not in every torch of ours
        warnings.simplefilter("ignore", FutureWarning)
        return DistributedDataParallel(model, device_ids=ids, broadcast_buffers=False)
