"""Precise batch norm: population statistics over many batches at fixed weights, before every evaluation.

Wu & Johnson, "Rethinking 'Batch' in BatchNorm" (2021), section 3.1 and appendix: batches are pooled by their
number of pixels, with the sample variance's correction undone. One implementation serves both engines.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm  # torch's own SyncBatchNorm is no BatchNorm2d


@torch.no_grad()
def precise_bn(model: nn.Module, batches: Iterable[Any], forward: Callable[[Any], Any]) -> None:
    """Replaces the running statistics of every batch norm in training mode by those of `batches`.

    `forward(batch)` must run the model once. The weights do not change. Sums are kept in float64.
    """
    norms = [m for m in model.modules() if isinstance(m, _BatchNorm) and m.training and m.track_running_stats]
    pooled = {norm: _Pool(norm.num_features, norm.weight.device) for norm in norms}
    momenta = [norm.momentum for norm in norms]

    def record(norm: _BatchNorm, inputs: tuple[Tensor], _: Tensor) -> None:
        count = inputs[0].numel() // inputs[0].shape[1]
        pooled[norm].add(*_statistics(norm), count)

    hooks = [norm.register_forward_hook(record) for norm in norms]  # type: ignore[arg-type]
    try:
        for norm in norms:
            norm.momentum = 1.0  # so that the running statistics are this batch's own
        for batch in batches:
            forward(batch)
    finally:
        for norm, momentum, hook in zip(norms, momenta, hooks, strict=True):
            norm.momentum = momentum
            hook.remove()
    for norm in norms:
        pooled[norm].store(norm)


class _Pool:
    """Mean and mean square over all pixels seen."""

    def __init__(self, channels: int, device: torch.device):
        self.count = 0
        self.sum = torch.zeros(channels, dtype=torch.float64, device=device)
        self.square_sum = torch.zeros(channels, dtype=torch.float64, device=device)

    def add(self, mean: Tensor, sample_var: Tensor, count: int) -> None:
        mean, sample_var = mean.double(), sample_var.double()
        biased = sample_var * (count - 1) / count
        self.count += count
        self.sum += mean * count
        self.square_sum += (mean * mean + biased) * count

    def store(self, norm: _BatchNorm) -> None:
        if self.count == 0:  # a norm that no batch passed through keeps what it has
            return
        mean = self.sum / self.count
        running_mean, running_var = _statistics(norm)
        running_mean.copy_(mean)
        running_var.copy_(self.square_sum / self.count - mean * mean)


def _statistics(norm: _BatchNorm) -> tuple[Tensor, Tensor]:
    assert isinstance(norm.running_mean, Tensor)
    assert isinstance(norm.running_var, Tensor)
    return norm.running_mean, norm.running_var
