"""Normalises by the statistics of the batch of all processes, on a CPU too, where torch's class refuses.

State-dict keys are those of BatchNorm; in one process it is BatchNorm.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from pretrain.process import distributed


class SyncBatchNorm(_BatchNorm):
    """BatchNorm whose training statistics are over all processes, by two sums that gradients go through."""

    def _check_input_dim(self, input: Tensor) -> None:
        """Accepts what BatchNorm1d and BatchNorm2d do: NxC and NxCxHxW."""

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or distributed.world_size() == 1:
            return super().forward(x)
        values = x.float() if x.dtype in (torch.float16, torch.bfloat16) else x
        over, shape = [0, *range(2, x.dim())], [1, -1, *[1] * (x.dim() - 2)]
        count = x.numel() // x.shape[1] * distributed.world_size()
        mean = distributed.sum_with_gradient(values.sum(over)) / count
        centred = values - mean.view(shape)
        var = distributed.sum_with_gradient(centred.square().sum(over)) / count
        self._remember(mean.detach(), var.detach() * (count / max(1, count - 1)))
        y = centred * torch.rsqrt(var + self.eps).view(shape)
        if self.weight is not None:
            y = y * self.weight.view(shape) + self.bias.view(shape)
        return y.to(x.dtype)

    @torch.no_grad()
    def _remember(self, mean: Tensor, var: Tensor) -> None:
        """Moves the running statistics, as BatchNorm does."""
        for running, value in ((self.running_mean, mean), (self.running_var, var)):
            if running is not None:
                running.lerp_(value.to(running.dtype), self.momentum or 0.0)
        if self.num_batches_tracked is not None:
            self.num_batches_tracked.add_(1)


def synchronised(module: nn.Module) -> nn.Module:
    """Makes every BatchNorm of a module, itself included, synchronised, in place; returns the module."""
    if type(module) in (nn.BatchNorm1d, nn.BatchNorm2d):
        module.__class__ = SyncBatchNorm  # same parameters, buffers and names
    for child in module.children():
        synchronised(child)
    return module
