"""Looks after a run between two iterations: reports, monitors, checkpoints and requests to stop."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from pretrain.errors import PretrainError
from pretrain.process import distributed
from pretrain.process.signals import STOP, Signals
from pretrain.training.saver import Saver
from pretrain.training.totals import Totals


class Monitor(Protocol):
    """A measurement that is made now and then while a network learns."""

    def due(self, done: int) -> bool:
        """Whether to measure after `done` iterations; the answer is the same in every process."""

    def measure(self, done: int) -> None:
        """Measures and records; only the first process does, and the others wait at their next exchange."""


@dataclass
class Watcher:
    """Does what is due after an iteration, and says whether it was the last one."""

    totals: Totals
    report: Callable[[int, dict[str, float]], None]  # is told the means after so many iterations
    print_every: int  # iterations
    saver: Saver
    signals: Signals
    device: torch.device
    advice: str  # where the loss is no longer finite
    rate: Callable[[int], float] | None = None  # of an iteration, shown beside the means
    monitors: Sequence[Monitor] = ()

    def after_step(self, done: int, last: int, loss: Tensor, logs: dict[str, Tensor]) -> bool:
        """True where the run is to stop after `done` of `last` iterations.

        `loss` and `logs` are those of the step (see `Method.forward`). Raises PretrainError where the loss is
        no longer finite.
        """
        self.totals.add(loss, logs)
        if done % self.print_every == 0 or done == last:
            self._report(done)
        measured = self.measure(done)  # before the save, so that no resume loses a measurement
        # All must stop at the same iteration; to ask at each would cost a wait. At these they wait anyway.
        asked = distributed.world_size() == 1 or done % self.print_every == 0 or measured
        request = distributed.any_process(self.signals.take(), self.device) if asked else 0
        if done == last or request or self.saver.due(done):
            self.saver.save(done)
        return request == STOP

    def measure(self, done: int) -> bool:
        """Lets the monitors measure that are due after `done` iterations; whether there is one."""
        due = [monitor for monitor in self.monitors if monitor.due(done)]
        for monitor in due:
            monitor.measure(done)
        return bool(due)

    def _report(self, done: int) -> None:
        means = self.totals.read()
        if not math.isfinite(means["loss"]):
            raise PretrainError(f"the loss became {means['loss']} by iteration {done}; {self.advice}")
        self.report(done, {**means, "lr": self.rate(done - 1)} if self.rate else means)
