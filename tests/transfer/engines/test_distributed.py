"""Several processes: synchronised norms equal the joined batch, and a run over two processes works."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from tests.transfer.engines.golden import detection
from transfer.engines.norms import NaiveSyncBatchNorm2d, SyncBatchNorm2d, norm_layer, take_fused
from transfer.engines.solver import build_solver
from transfer.engines.torchvision.build import build_model
from transfer.process.distributed import World, launch


def _input() -> torch.Tensor:
    return torch.randn(6, 3, 4, 5, generator=torch.Generator().manual_seed(0)) * 2 + 1


def _work(world: World, weighted: bool, parts: list[int]) -> dict[str, list[float]]:
    """Forward, backward and running statistics of this process's part of the batch."""
    norm = (SyncBatchNorm2d if weighted else NaiveSyncBatchNorm2d)(3).to(world.device)
    if world.device.type == "cuda":
        take_fused(norm)
    x = _input().split(parts)[world.rank].to(world.device).detach().requires_grad_()
    out = norm(x)
    (out * out.detach().cos()).sum().backward()
    assert x.grad is not None
    return {
        "out": out.flatten().tolist(),
        "grad": x.grad.flatten().tolist(),
        "mean": norm.running_mean.tolist(),  # type: ignore[union-attr]
        "var": norm.running_var.tolist(),  # type: ignore[union-attr]
    }


@pytest.mark.usefixtures("forked_processes")
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


@pytest.mark.usefixtures("forked_processes")
def test_naive_sync_counts_every_process_alike() -> None:
    """Detectron2's naiveSyncBN: unequal parts weigh the same."""
    made = launch(_work, 2, torch.device("cpu"), False, [1, 5])
    a, b = _input().split([1, 5])
    mean = (a.mean((0, 2, 3)) + b.mean((0, 2, 3))) / 2
    torch.testing.assert_close(torch.tensor(made["mean"]), 0.1 * mean)


def _of_regions(world: World, parts: list[int]) -> dict[str, list[float]]:
    """Two steps of a norm that bears a process without a region; running statistics and a gradient."""
    norm: nn.Module = norm_layer("naiveSyncBN_N")(3)
    x = _input()[: sum(parts)].split(parts)[world.rank].requires_grad_()
    out = norm(x)
    (out * out.detach().cos()).sum().backward()
    assert x.grad is not None
    state = {name: tensor.tolist() for name, tensor in norm.state_dict().items() if "running" in name}
    return {"out": out.flatten().tolist(), "grad": x.grad.flatten().tolist(), **state}


@pytest.mark.usefixtures("forked_processes")
@pytest.mark.parametrize("parts", [[6, 0], [2, 4]])
def test_a_process_without_a_region_counts_for_nothing(parts: list[int]) -> None:
    """The others' statistics are those of all; the running variance is the biased one, as in Detectron2."""
    made = launch(_of_regions, 2, torch.device("cpu"), parts)
    x = _input().requires_grad_()
    out = nn.BatchNorm2d(3)(x)
    (out * out.detach().cos()).sum().backward()
    assert x.grad is not None
    torch.testing.assert_close(torch.tensor(made["out"]), out[: parts[0]].detach().flatten())
    torch.testing.assert_close(torch.tensor(made["grad"]), x.grad[: parts[0]].flatten(), atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(torch.tensor(made["running_mean"]), 0.1 * x.detach().mean((0, 2, 3)))
    var = 0.9 + 0.1 * x.detach().var((0, 2, 3), correction=0)
    torch.testing.assert_close(torch.tensor(made["running_var"]), var)


@pytest.mark.usefixtures("forked_processes")
def test_without_a_region_anywhere_nothing_moves() -> None:
    made = launch(_of_regions, 2, torch.device("cpu"), [0, 0])
    assert (made["running_mean"], made["running_var"], made["out"]) == ([0.0] * 3, [1.0] * 3, [])


def _far_from_zero(world: World, weighted: bool) -> dict[str, list[float]]:
    """Channels whose deviation is small beside their mean, one of them constant."""
    norm = (SyncBatchNorm2d if weighted else NaiveSyncBatchNorm2d)(3)
    out = norm(_far()[3 * world.rank : 3 * world.rank + 3])
    assert norm.running_var is not None
    return {"out": out.flatten().tolist(), "var": norm.running_var.tolist()}


def _far() -> torch.Tensor:
    x = _input()
    return torch.stack([torch.full_like(x[:, 0], 40.3), 20 + 0.01 * x[:, 1], 1000 + x[:, 2]], dim=1)


@pytest.mark.usefixtures("forked_processes")
def test_no_variance_is_below_zero_or_lost_beside_the_mean() -> None:
    """E[x^2] - E[x]^2 in float32 makes the first channel NaN and the second one half too wide."""
    oracle = nn.BatchNorm2d(3).double()
    expected = oracle(_far().double())
    for weighted in (True, False):
        made = launch(_far_from_zero, 2, torch.device("cpu"), weighted)
        out = torch.tensor(made["out"], dtype=torch.float64).reshape(3, 3, 4, 5)
        torch.testing.assert_close(out, expected[:3], atol=2e-2, rtol=0)
        assert all(var >= 0 for var in made["var"])


def test_a_gpu_takes_torchs_fused_layer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a model for a GPU that stays on this CPU; the naive kind is ours everywhere, and decays nowhere."""
    monkeypatch.setattr(nn.Module, "to", lambda module, *_, **__: module)
    for norm, kind in (("SyncBN", nn.SyncBatchNorm), ("naiveSyncBN", NaiveSyncBatchNorm2d)):
        cfg = detection.config("coco_fpn", **detection.NARROW)
        cfg.MODEL.RESNETS.NORM = cfg.MODEL.FPN.NORM = norm
        model = build_model(cfg, torch.device("cuda"))
        norms = [module for module in model.modules() if isinstance(module, _BatchNorm)]
        assert len(norms) > 50
        assert {type(module) for module in norms} == {kind}
        assert model.state_dict().keys() == build_model(cfg, torch.device("cpu")).state_dict().keys()
        optimizer, _ = build_solver(cfg, model)
        decaying = {
            id(p) for group in optimizer.param_groups if group["weight_decay"] for p in group["params"]
        }
        assert not decaying & {id(p) for module in norms for p in module.parameters()}


@pytest.mark.gpu
def test_torchs_fused_layer_gives_our_statistics_on_two_gpus() -> None:
    if torch.cuda.device_count() < 2:
        pytest.skip("needs two CUDA devices")
    made = launch(_work, 2, torch.device("cuda"), True, [2, 4])
    ours = launch(_work, 2, torch.device("cpu"), True, [2, 4])
    for key, values in made.items():
        torch.testing.assert_close(torch.tensor(values), torch.tensor(ours[key]), atol=1e-4, rtol=1e-4)
