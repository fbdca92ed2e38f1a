"""Normalisation layers under Detectron2's names: BN, SyncBN, naiveSyncBN, FrozenBN."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torchvision.ops import FrozenBatchNorm2d


class _SumOverProcesses(torch.autograd.Function):
    """all_reduce whose gradient is the all_reduce of the gradient."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        x = x.clone()
        dist.all_reduce(x)
        return x

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:  # type: ignore[override]
        grad = grad.clone()
        dist.all_reduce(grad)
        return grad


class SyncBatchNorm2d(nn.BatchNorm2d):
    """Batch norm over all processes; torch's own refuses CPU tensors.

    `weighted` False is Detectron2's naiveSyncBN: every process counts alike and the running variance is the
    biased one. True weights each process by its number of pixels, which is the joined batch's statistic, and
    unbiases the running variance, as torch's SyncBatchNorm does.
    """

    def __init__(self, channels: int, weighted: bool = False):
        super().__init__(channels)
        self.weighted = weighted

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or not dist.is_initialized() or dist.get_world_size() == 1:
            return super().forward(x)
        wide = x if x.dtype == torch.float64 else x.float()  # half precision cannot hold the squares
        weight = wide.new_tensor(float(x.numel() // x.shape[1]) if self.weighted else 1.0)
        moments = torch.cat(
            [wide.mean((0, 2, 3)), (wide * wide).mean((0, 2, 3)), wide.new_ones(1)]
        )  # (2C + 1)
        moments = _SumOverProcesses.apply(moments * weight)
        mean, square = (moments[:-1] / moments[-1]).chunk(2)
        var = square - mean * mean
        mean_buffer, var_buffer, momentum = self.running_mean, self.running_var, self.momentum
        assert isinstance(mean_buffer, Tensor)
        assert isinstance(var_buffer, Tensor)
        assert momentum is not None
        with torch.no_grad():
            mean_buffer.lerp_(mean, momentum)
            pixels = moments[-1]
            var_buffer.lerp_(var * pixels / (pixels - 1) if self.weighted else var, momentum)
        scale = self.weight * torch.rsqrt(var + self.eps)
        shift = self.bias - mean * scale
        return (wide * scale[:, None, None] + shift[:, None, None]).to(x.dtype)


_NORMS: dict[str, Callable[[int], nn.Module]] = {
    "BN": nn.BatchNorm2d,
    "SyncBN": partial(SyncBatchNorm2d, weighted=True),
    "naiveSyncBN": SyncBatchNorm2d,
    "FrozenBN": FrozenBatchNorm2d,
}


def norm_layer(name: str) -> Callable[[int], nn.Module]:
    """The constructor (channels -> module) of MODEL.RESNETS.NORM."""
    return _NORMS[name]
