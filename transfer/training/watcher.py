"""Watches a training: one look a step, alike on all processes, before a bad number reaches weights or disk.

A step's losses, the norms of gradients and weights and the local flags travel as one vector: one sum over the
processes, one read by the host. A NaN anywhere makes the sum NaN everywhere, so all processes stop together
and none waits in a collective for one that has gone.
"""

from __future__ import annotations

import math
import signal
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain

import torch
import torch.distributed as dist
from torch import Tensor

from transfer.errors import Interrupted
from transfer.process.memory import memory_advice
from transfer.samples.sample import Sample
from transfer.training.finite import (
    ADVICE,
    bad_input,
    culprits,
    gradients_norm,
    refuse_input,
    refuse_weights,
    told_by_all,
    weights_norm,
)
from transfer.training.learner import Learner


@dataclass(frozen=True)
class Step:
    """The numbers of one step, equal on all processes: losses and total are their means, the rest sums."""

    losses: dict[str, float]
    total: float
    gradient: float  # sum of the norms; only whether it is finite is looked at
    weights: float  # the same, before the step
    bad_input: float  # processes whose next input is not finite
    stop: float  # processes that were asked to stop

    @property
    def ends_the_run(self) -> bool:
        """Whether the run ends once this step is made and saved."""
        return bool(self.stop or self.bad_input)


class Watcher:
    """Ends a training with one line that names iteration and tensor.

    Every process must call every method, for they agree with each other before any of them raises.
    """

    def __init__(self, learner: Learner):
        self.model, self.precision, self.world = learner.model, learner.precision, learner.world
        self._weights: Tensor | None = None  # norm before the step, (), on the device
        self._bad_input = ""  # of this process, in words

    def first_input(self, parts: Sequence[Sequence[Sample]], iteration: int) -> None:
        """Raises FloatingPointError where any process's first input is not finite."""
        refuse_input(bad_input(chain(*parts)), iteration, self.world.size)

    @contextmanager
    def computing(self, iteration: int) -> Iterator[None]:
        """Names the iteration in errors of the block that computes losses and gradients.

        A proposal network raises FloatingPointError where it finds its predictions broken. The other
        processes may be in a collective then, so this one looks at its weights alone.
        """
        self._weights = weights_norm(self.model, self.world.device)
        try:
            with memory_advice(f"iteration {iteration}", "INPUT.MIN_SIZE_TRAIN"):
                yield
        except FloatingPointError as error:
            refuse_weights(self.model, iteration, world_size=1)
            raise FloatingPointError(f"iteration {iteration}: {error}; {ADVICE}") from None

    def step(
        self,
        iteration: int,
        losses: Mapping[str, Tensor],
        upcoming: Sequence[Sequence[Sample]],
        asked_to_stop: bool,
    ) -> Step:
        """The step's numbers on the host; raises FloatingPointError unless the weights may be updated.

        Gradients of float16 that overflowed are no error: the scaler leaves that update out.
        """
        assert self._weights is not None, "the step was computed outside of `computing`"
        self._bad_input = bad_input(chain(*upcoming))
        gradient = gradients_norm(self.model, self.world.device)
        flags = [float(bool(self._bad_input)), float(asked_to_stop)]
        step = _summed(losses, torch.stack([gradient, self._weights]), flags, self.world.size)
        is_finite = math.isfinite(step.total) and math.isfinite(step.weights)
        if is_finite and (math.isfinite(step.gradient) or self.precision.overflowed(step.gradient)):
            return step
        found = told_by_all(culprits(losses, self.model), self.world.size)
        whole = "the norm of gradients or weights" if math.isfinite(step.total) else "the sum of the losses"
        raise FloatingPointError(f"iteration {iteration}: {', '.join(found) or whole} not finite; {ADVICE}")

    def weights(self, iteration: int) -> None:
        """Raises FloatingPointError where a weight is not finite after `iteration`: before a save."""
        refuse_weights(self.model, iteration, self.world.size)

    def leave(self, step: Step, done: int, last: int, signals: Sequence[int]) -> None:
        """Raises why `step` ends the run: Interrupted, or FloatingPointError that names the next input."""
        if step.stop:
            if self.world.size > 1:
                dist.barrier()  # who leaves first would take the saving process along
            name = signal.Signals(signals[0]).name if signals else "to another process"
            raise Interrupted(f"signal {name} after iteration {done} of {last}; state saved")
        refuse_input(self._bad_input, done, self.world.size)


def _summed(losses: Mapping[str, Tensor], norms: Tensor, flags: list[float], world_size: int) -> Step:
    """The step after one sum over the processes; `norms` are those of gradients and weights, (2,)."""
    parts = torch.stack([loss.detach().float() for loss in losses.values()])
    vector = torch.cat([parts, norms, norms.new_tensor(flags)])
    if world_size > 1:
        dist.all_reduce(vector)
    *sums, gradient, weights, bad, stop = vector.tolist()
    means = [part / world_size for part in sums]
    return Step(dict(zip(losses, means, strict=True)), sum(means), gradient, weights, bad, stop)
