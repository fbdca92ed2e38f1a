"""Updates the weights by a loss: sets rates and decays, computes, cuts and scales gradients, and steps."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager

import torch
from torch import Tensor, nn

from pretrain.optimizers.schedules import Schedule
from pretrain.training.precision import autocast


class Updates:
    """An optimizer with its schedules, one a parameter group, and the precision of the passes."""

    def __init__(
        self,
        optimizer: torch.optim.Optimizer,
        schedules: Sequence[Schedule],
        device: torch.device,
        precision: str = "fp32",
        *,
        decays: Sequence[Schedule] = (),
        clip: float | None = None,
        resting: Sequence[tuple[list[nn.Parameter], int]] = (),
    ) -> None:
        """`schedules` are of the learning rate, `decays` of the weight decay, which is constant without them.

        clip: the norm to which the gradient of each parameter is cut, as DINO does it
        resting: parameters, and the iteration before which they are not moved
        """
        self.optimizer, self.schedules, self.decays = optimizer, schedules, decays
        self.device, self.precision = device, precision
        self._clip, self._resting = clip, resting
        self._iteration = 0
        self.scaler = torch.amp.GradScaler(device.type, enabled=precision == "fp16")

    def set_rates(self, iteration: int) -> None:
        self._iteration = iteration
        for group, rate_at in zip(self.optimizer.param_groups, self.schedules, strict=True):
            group["lr"] = rate_at(iteration)
        if self.decays:
            for group, decay_at in zip(self.optimizer.param_groups, self.decays, strict=True):
                group["weight_decay"] = decay_at(iteration)

    def autocast(self) -> AbstractContextManager:
        """Surrounds the forward pass."""
        return autocast(self.device, self.precision)

    def step(self, loss: Tensor) -> None:
        """Computes the gradients of a scalar loss and moves the weights by them."""
        self.optimizer.zero_grad(set_to_none=True)
        self.scaler.scale(loss).backward()
        if self._clip is not None:
            self.scaler.unscale_(self.optimizer)
            clip_each(self.optimizer, self._clip)
        for parameters, until in self._resting:
            if self._iteration < until:
                for parameter in parameters:
                    parameter.grad = None
        self.scaler.step(self.optimizer)
        self.scaler.update()


@torch.no_grad()
def clip_each(optimizer: torch.optim.Optimizer, largest: float) -> None:
    """Cuts the gradient of each parameter to the norm `largest` by itself, without a wait for any norm."""
    grads = [p.grad for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
    norms = torch.stack(torch._foreach_norm(grads))
    torch._foreach_mul_(grads, (largest / (norms + 1e-6)).clamp_(max=1.0).unbind())
