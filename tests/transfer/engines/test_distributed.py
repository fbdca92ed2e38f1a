"""Several processes: synchronised norms equal the joined batch, and a run over two processes works."""

from __future__ import annotations

import torch
from torch import nn

from transfer.distributed import World, launch
from transfer.engines.torchvision.norm import SyncBatchNorm2d


def _input() -> torch.Tensor:
    return torch.randn(6, 3, 4, 5, generator=torch.Generator().manual_seed(0)) * 2 + 1


def _work(world: World, weighted: bool, parts: list[int]) -> dict[str, list[float]]:
    """Forward, backward and running statistics of this process's part of the batch."""
    norm = SyncBatchNorm2d(3, weighted=weighted)
    x = _input().split(parts)[world.rank].requires_grad_()
    out = norm(x)
    (out * out.detach().cos()).sum().backward()
    assert x.grad is not None
    return {
        "out": out.flatten().tolist(),
        "grad": x.grad.flatten().tolist(),
        "mean": norm.running_mean.tolist(),  # type: ignore[union-attr]
        "var": norm.running_var.tolist(),  # type: ignore[union-attr]
    }


def test_two_processes_normalise_as_one_batch() -> None:
    norm = nn.BatchNorm2d(3)
    x = _input().requires_grad_()
    out = norm(x)
    (out * out.detach().cos()).sum().backward()
    assert x.grad is not None
    for weighted, parts in [(True, [2, 4]), (False, [3, 3])]:
        made = launch(_work, 2, torch.device("cpu"), weighted, parts)
        count = parts[0]
        torch.testing.assert_close(torch.tensor(made["out"]), out[:count].detach().flatten())
        torch.testing.assert_close(torch.tensor(made["grad"]), x.grad[:count].flatten(), atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(torch.tensor(made["mean"]), norm.running_mean)
        var = 0.9 + 0.1 * x.detach().var((0, 2, 3), correction=1 if weighted else 0)
        torch.testing.assert_close(torch.tensor(made["var"]), var)


def test_naive_sync_counts_every_process_alike() -> None:
    """Detectron2's naiveSyncBN: unequal parts weigh the same."""
    made = launch(_work, 2, torch.device("cpu"), False, [1, 5])
    a, b = _input().split([1, 5])
    mean = (a.mean((0, 2, 3)) + b.mean((0, 2, 3))) / 2
    torch.testing.assert_close(torch.tensor(made["mean"]), 0.1 * mean)
