"""Precise batch norm against the statistics of all pixels at once, and against fvcore where installed."""

from __future__ import annotations

import importlib.util

import pytest
import torch
from torch import nn

from transfer.training.precise_bn import precise_bn


def _batches() -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    sizes = [(2, 5), (4, 7), (3, 4), (1, 9)]
    return [torch.randn(n, 3, s, s, generator=generator) * 2 + 1 for n, s in sizes]


def test_pools_all_pixels_whatever_the_batch_sizes() -> None:
    norm = nn.BatchNorm2d(3)
    model = nn.Sequential(norm).train()
    precise_bn(model, _batches(), model)
    pixels = torch.cat([b.permute(1, 0, 2, 3).flatten(1) for b in _batches()], dim=1).double()
    torch.testing.assert_close(norm.running_mean, pixels.mean(1).float())
    torch.testing.assert_close(norm.running_var, pixels.var(1, correction=0).float())
    assert norm.momentum == 0.1


def test_weights_and_norms_in_evaluation_mode_stay() -> None:
    frozen, moving = nn.BatchNorm2d(3).eval(), nn.BatchNorm2d(3)
    model = nn.Sequential(frozen, moving)
    before = frozen.running_mean.clone()  # type: ignore[union-attr]
    precise_bn(model, _batches(), model)
    assert torch.equal(frozen.running_mean, before)  # type: ignore[arg-type]
    assert not torch.equal(moving.running_mean, torch.zeros(3))  # type: ignore[arg-type]
    assert torch.equal(moving.weight, torch.ones(3))


def test_equal_to_fvcore() -> None:
    if importlib.util.find_spec("fvcore") is None:
        pytest.skip("fvcore (a part of Detectron2's installation) is not installed")
    from fvcore.nn.precise_bn import update_bn_stats

    def net() -> nn.Module:
        torch.manual_seed(0)
        return nn.Sequential(nn.BatchNorm2d(3), nn.Conv2d(3, 4, 3), nn.ReLU(), nn.BatchNorm2d(4)).train()

    ours, theirs = net(), net()
    precise_bn(ours, _batches(), ours)
    update_bn_stats(theirs, _batches(), len(_batches()))
    for name, tensor in ours.state_dict().items():
        torch.testing.assert_close(tensor, theirs.state_dict()[name], rtol=1e-4, atol=1e-5)
