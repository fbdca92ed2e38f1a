"""Makes normalisation layers by Detectron2's names: BN, three that are synchronised, FrozenBN, LN, GN."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torchvision.ops import FrozenBatchNorm2d

from transfer.errors import TransferError

GROUPS = 32  # of Detectron2's GN


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


def _normalised(norm: _BatchNorm, x: Tensor, weighted: bool, correction: int) -> Tensor:
    """Batch norm over all processes; every process counts alike, or by its number of pixels (`weighted`).

    Each process tells the mean and the variance of its own pixels, in float32 at least. Their union's
    variance is that within plus that between them: a sum of squares, which cannot fall below zero. For the
    running one `correction` is taken off the number of pixels. A process without pixels counts for nothing if
    `weighted`, and must not be there otherwise.
    """
    wide = x.to(torch.promote_types(x.dtype, torch.float32))
    if x.numel():
        var, mean = torch.var_mean(wide, (0, 2, 3), correction=0)  # (C,) each
    else:
        var = mean = wide.sum((0, 2, 3))  # zeros, through which the gradients of all processes pass
    pixels = wide.new_tensor([float(x.numel() // x.shape[1]) if weighted else 1.0])
    told = wide.new_zeros(dist.get_world_size(), 2 * len(mean) + 1)
    told[dist.get_rank()] = torch.cat([mean, var, pixels])
    means, variances, weights = _SumOverProcesses.apply(told).split([len(mean), len(mean), 1], dim=1)
    count = weights.sum()
    weights = weights / count.clamp(min=1)  # (processes, 1)
    mean = (means * weights).sum(0)
    var = ((variances + (means - mean).square()) * weights).sum(0)
    mean_buffer, var_buffer, momentum = norm.running_mean, norm.running_var, norm.momentum
    assert isinstance(mean_buffer, Tensor)
    assert isinstance(var_buffer, Tensor)
    assert momentum is not None
    with torch.no_grad():
        moved = momentum * count.clamp(max=1)
        mean_buffer.lerp_(mean, moved)
        var_buffer.lerp_(var * count / (count - correction) if correction else var, moved)
    scale = norm.weight * torch.rsqrt(var + norm.eps)
    shift = norm.bias - mean * scale
    return (wide * scale[:, None, None] + shift[:, None, None]).to(x.dtype)


def _alone(norm: _BatchNorm) -> bool:
    """Tells whether there is nothing to share: in evaluation, and in a process of its own."""
    return not norm.training or not dist.is_initialized() or dist.get_world_size() == 1


class NaiveSyncBatchNorm2d(nn.BatchNorm2d):
    """Detectron2's naiveSyncBN: every process counts alike, and the running variance is the biased one."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) if _alone(self) else _normalised(self, x, False, 0)


class NaiveSyncBatchNormN2d(nn.BatchNorm2d):
    """Detectron2's naiveSyncBN_N: the joined batch's statistics, the running variance the biased one.

    A process may have no region at all, which torch's layer in Detectron2's heads refuses: it then counts for
    nothing, and if none has one, nothing moves.
    """

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) if _alone(self) else _normalised(self, x, True, 0)


class SyncBatchNorm2d(nn.BatchNorm2d):
    """The joined batch's statistics, as torch's SyncBatchNorm has them, which refuses to run on CPUs."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) if _alone(self) else _normalised(self, x, True, 1)


class ChannelLayerNorm(nn.Module):
    """Detectron2's LN: every pixel of (N, C, H, W) normalised over its channels, with a scale and a shift.

    It is no nn.LayerNorm, as Detectron2's is none: solvers that spare norms from weight decay do not spare
    this one (see `transfer.engines.solver`).
    """

    def __init__(self, channels: int, eps: float = 1e-6):
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.ones(channels)), nn.Parameter(torch.zeros(channels))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        last = F.layer_norm(x.permute(0, 2, 3, 1), self.weight.shape, self.weight, self.bias, self.eps)
        return last.permute(0, 3, 1, 2)


def take_fused(model: nn.Module) -> None:
    """Makes every SyncBatchNorm2d of a model for a GPU torch's fused layer; names and weights stay."""
    for module in model.modules():
        if type(module) is SyncBatchNorm2d:
            module.__class__ = nn.SyncBatchNorm  # type: ignore[assignment]
            module.process_group = None  # type: ignore[assignment]  # all processes


def _group_norm(channels: int) -> nn.Module:
    if channels % GROUPS:
        raise TransferError(
            f"GN has {GROUPS} groups of channels, and there are {channels}: take a network of a multiple of "
            f"{GROUPS}, or another norm"
        )
    return nn.GroupNorm(GROUPS, channels)


_NORMS: dict[str, Callable[[int], nn.Module]] = {
    "BN": nn.BatchNorm2d,
    "SyncBN": SyncBatchNorm2d,
    "naiveSyncBN": NaiveSyncBatchNorm2d,
    "naiveSyncBN_N": NaiveSyncBatchNormN2d,
    "FrozenBN": FrozenBatchNorm2d,
    "LN": ChannelLayerNorm,
    "GN": _group_norm,
}


def norm_layer(name: str) -> Callable[[int], nn.Module]:
    """Returns the constructor (channels -> module) of a norm by the name that recipes give it."""
    return _NORMS[name]
