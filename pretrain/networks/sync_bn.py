"""Normalises by the statistics of the batch of all processes, on a CPU too, where torch's class refuses.

State-dict keys are those of BatchNorm; in one process it is BatchNorm.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pretrain.process import distributed


class SyncBatchNorm(nn.SyncBatchNorm):
    """torch's SyncBatchNorm where there is a GPU; the same statistics by two sums where there is none."""

    running_mean: Tensor | None
    running_var: Tensor | None

    def forward(self, x: Tensor) -> Tensor:  # NxC or NxCxHxW
        if x.is_cuda and self.training and distributed.world_size() > 1:
            return super().forward(x)
        if not self.training or distributed.world_size() == 1:
            if self.training and self.num_batches_tracked is not None:
                self.num_batches_tracked.add_(1)
            mean, var = self.running_mean, self.running_var
            return F.batch_norm(
                x, mean, var, self.weight, self.bias, self.training, self.momentum or 0.0, self.eps
            )
        return self._by_sums(x)

    def _by_sums(self, x: Tensor) -> Tensor:
        over = [0, *range(2, x.dim())]
        count = x.numel() // x.shape[1] * distributed.world_size()
        mean = distributed.sum_with_gradient(x.sum(over)) / count
        shape = [1, -1, *[1] * (x.dim() - 2)]
        centred = x - mean.view(shape)
        var = distributed.sum_with_gradient((centred * centred).sum(over)) / count
        with torch.no_grad():
            if self.running_mean is not None and self.running_var is not None:
                self.running_mean.lerp_(mean.to(self.running_mean.dtype), self.momentum or 0.0)
                unbiased = var * (count / max(1, count - 1))
                self.running_var.lerp_(unbiased.to(self.running_var.dtype), self.momentum or 0.0)
            if self.num_batches_tracked is not None:
                self.num_batches_tracked.add_(1)
        y = centred * torch.rsqrt(var + self.eps).view(shape)
        if self.weight is None:
            return y
        y = y * self.weight.view(shape)
        return y if self.bias is None else y + self.bias.view(shape)


def synchronised(module: nn.Module) -> nn.Module:
    """Makes every BatchNorm of a module, itself included, synchronised, in place; returns the module."""
    if type(module) in (nn.BatchNorm1d, nn.BatchNorm2d):
        module.__class__ = SyncBatchNorm  # same parameters, buffers and names
        module.process_group = None
    for child in module.children():
        synchronised(child)
    return module
