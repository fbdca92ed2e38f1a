"""Measures precise batch norm: population statistics over many batches at fixed weights.

Wu & Johnson, "Rethinking 'Batch' in BatchNorm" (2021), section 3.1 and appendix: batches are pooled by their
number of pixels, with the sample variance's correction undone. One implementation serves both engines.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm  # torch's own SyncBatchNorm is no BatchNorm2d

from transfer.engines.base import Engine
from transfer.process.distributed import World
from transfer.process.draws import STATISTICS, seed_torch
from transfer.process.memory import memory_advice
from transfer.process.progress import progress
from transfer.samples.sample import Sample


def measure_statistics(
    engine: Engine, model: nn.Module, data: Iterator[list[Sample]], number: int, seed: int, world: World
) -> None:
    """Gives the model the precise statistics of the next `number` batches of `data`.

    Afterwards all processes hold rank 0's: pixel counts differ between processes, and so would theirs.
    Raises TransferError where the GPU's memory does not suffice.
    """
    model.train()
    with progress("precise BN", number, quiet=not world.main) as advance:

        def forward(numbered: tuple[int, list[Sample]]) -> None:
            iteration, batch = numbered
            seed_torch(seed, STATISTICS, iteration, world.rank)
            with memory_advice("precise BN", "INPUT.MIN_SIZE_TRAIN"):
                engine.losses(model, batch)
            advance("")

        precise_bn(model, zip(range(number), data), forward)  # noqa: B905  # the data never ends
    if world.size > 1:
        for buffer in model.buffers():
            dist.broadcast(buffer, 0)


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
