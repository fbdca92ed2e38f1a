"""Updates the weights by a loss: sets learning rates, computes gradients, scales the loss for float16."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager

import torch
from torch import Tensor

from pretrain.training.precision import autocast

Schedule = Callable[[int], float]


class Updates:
    """An optimizer with its schedules, one a parameter group, and the precision of the passes."""

    def __init__(
        self,
        optimizer: torch.optim.Optimizer,
        schedules: Sequence[Schedule],
        device: torch.device,
        precision: str = "fp32",
    ) -> None:
        self.optimizer, self.schedules = optimizer, schedules
        self.device, self.precision = device, precision
        self.scaler = torch.amp.GradScaler(device.type, enabled=precision == "fp16")

    def set_rates(self, iteration: int) -> None:
        for group, rate_at in zip(self.optimizer.param_groups, self.schedules, strict=True):
            group["lr"] = rate_at(iteration)

    def autocast(self) -> AbstractContextManager:
        """Surrounds the forward pass."""
        return autocast(self.device, self.precision)

    def step(self, loss: Tensor) -> None:
        """Computes the gradients of a scalar loss and moves the weights by them."""
        self.optimizer.zero_grad(set_to_none=True)
        self.scaler.scale(loss).backward()
        self.scaler.step(self.optimizer)
        self.scaler.update()
