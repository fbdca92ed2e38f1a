"""Optimizers and schedules: groups, rates and clipping against rules by hand and Detectron2's own."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import nn
from yacs.config import CfgNode

from transfer.engines.choose import detectron2_found
from transfer.engines.solver import build_solver, clip_gradients, lr_factor, parameter_groups
from transfer.recipes.resolve import load_recipe


def _cfg(**solver: Any) -> CfgNode:
    keys = {
        "WEIGHT_DECAY": 0.1,
        "WEIGHT_DECAY_NORM": 0.02,
        "BASE_LR": 0.5,
        "MAX_ITER": 100,
        "WARMUP_ITERS": 0,
    }
    return load_recipe("voc_c4", [(f"SOLVER.{key}", value) for key, value in {**keys, **solver}.items()])


class Net(nn.Module):
    """Norms of every kind, a position, a frozen part and a parameter with two names."""

    def __init__(self) -> None:
        super().__init__()
        self.pos_embed = nn.Parameter(torch.randn(3))
        self.conv = nn.Conv2d(2, 2, 1)
        self.norms = nn.Sequential(nn.BatchNorm2d(2), nn.LayerNorm(2), nn.GroupNorm(1, 2))
        self.frozen = nn.Linear(2, 2).requires_grad_(False)
        self.twin = self.conv


def _found(cfg: CfgNode, net: Net, rate: Any = lambda name: 1.0) -> dict[str, tuple[float, float]]:
    """Parameter name -> (decay, rate), of all that are in a group, and none twice."""
    names = {id(p): name for name, p in net.named_parameters()}
    groups = parameter_groups(cfg, net, rate)
    listed = [(names[id(p)], (g["weight_decay"], g["lr"])) for g in groups for p in g["params"]]
    assert len(listed) == len(dict(listed))
    return dict(listed)


def test_decay_is_by_kind_and_name_and_what_is_frozen_is_in_no_group() -> None:
    net = Net()
    found = _found(_cfg(NO_WEIGHT_DECAY=["pos_embed"]), net)
    assert found == {
        "pos_embed": (0.0, 0.5),
        **dict.fromkeys(("conv.weight", "conv.bias"), (0.1, 0.5)),
        **{f"norms.{i}.{part}": (0.02, 0.5) for i in range(3) for part in ("weight", "bias")},
    }
    assert _found(_cfg(), net)["pos_embed"] == (0.1, 0.5)


def test_a_rate_by_name_is_a_group_of_its_own() -> None:
    found = _found(_cfg(), Net(), lambda name: 0.25 if name.startswith("conv.") else 1.0)
    assert found["conv.bias"] == (0.1, 0.125)
    assert found["norms.1.bias"] == (0.02, 0.5)
    optimizer, scheduler = build_solver(_cfg(MAX_ITER=4, STEPS=[1], GAMMA=0.1), Net(), lambda name: 0.5)
    assert {group["lr"] for group in optimizer.param_groups} == {0.25}
    optimizer.step()
    scheduler.step()
    assert [group["lr"] for group in optimizer.param_groups] == pytest.approx(
        [0.025] * len(optimizer.param_groups)
    )


def test_adamw_steps_are_those_of_the_formula() -> None:
    """Loshchilov & Hutter, arXiv 1711.05101, algorithm 2, by hand in double precision."""
    layer = nn.Linear(3, 1, bias=False).double()
    x = torch.randn(5, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    cfg = _cfg(OPTIMIZER="adamw", BETAS=[0.8, 0.95], LR_SCHEDULER_NAME="WarmupCosineLR", MAX_ITER=10)
    optimizer, scheduler = build_solver(cfg, layer)
    weight = layer.weight.detach().clone()
    first = second = torch.zeros_like(weight)
    for t in range(10):
        optimizer.zero_grad()
        (layer(x) ** 2).mean().backward()
        gradient = 2 * (x * (x @ weight.T)).mean(0, keepdim=True)
        first = 0.8 * first + 0.2 * gradient
        second = 0.95 * second + 0.05 * gradient**2
        rate = 0.5 * (1 + math.cos(math.pi * t / 10)) / 2
        weight = weight * (1 - rate * 0.1)
        step = first / (1 - 0.8 ** (t + 1)) / ((second / (1 - 0.95 ** (t + 1))).sqrt() + 1e-8)
        weight = weight - rate * step
        optimizer.step()
        scheduler.step()
        torch.testing.assert_close(layer.weight.detach(), weight, rtol=1e-10, atol=1e-12)


def test_schedules_at_their_ends_and_in_the_middle() -> None:
    cosine = _cfg(LR_SCHEDULER_NAME="WarmupCosineLR", BASE_LR_END=0.05, WARMUP_ITERS=10, WARMUP_FACTOR=0.1)
    top = 0.1 + 0.9 * (1 + math.cos(math.pi * 0.1)) / 2
    assert lr_factor(cosine, 0) == pytest.approx(0.1)
    assert lr_factor(cosine, 5) == pytest.approx((0.1 + top) / 2)
    assert lr_factor(cosine, 10) == pytest.approx(top)
    assert lr_factor(cosine, 50) == pytest.approx(0.55)
    assert lr_factor(cosine, 100) == pytest.approx(0.1)
    poly = _cfg(LR_SCHEDULER_NAME="WarmupPolyLR", POLY_LR_POWER=2.0, WARMUP_ITERS=10, WARMUP_FACTOR=0.1)
    assert lr_factor(poly, 0) == pytest.approx(0.1)
    assert lr_factor(poly, 5) == pytest.approx(0.55 * 0.95**2)
    assert lr_factor(poly, 75) == pytest.approx(0.25**2)
    assert lr_factor(poly, 100) == 0


@pytest.mark.detectron2
@pytest.mark.parametrize("name", ["WarmupMultiStepLR", "WarmupCosineLR"])
def test_schedules_are_detectron2s(name: str) -> None:
    if not detectron2_found():
        pytest.skip("Detectron2 is not importable")
    from detectron2.solver import build_lr_scheduler

    from transfer.engines.detectron2.config import detectron2_config

    cfg = _cfg(LR_SCHEDULER_NAME=name, WARMUP_ITERS=7, STEPS=[40, 80], BASE_LR_END=0.01)
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    theirs = build_lr_scheduler(detectron2_config(cfg, torch.device("cpu")), optimizer)
    for t in range(100):
        assert lr_factor(cfg, t) == pytest.approx(theirs.get_last_lr()[0], rel=1e-9, abs=1e-12), t
        optimizer.step()
        theirs.step()


@pytest.mark.parametrize(
    ("how", "wanted"),
    [
        ("value", [[1.0, -1.0], [1.0]]),
        ("norm", [[0.6, -0.8], [1.0]]),  # 3, -4 has norm 5; 12 has norm 12
        ("full_model", [[3 / 13, -4 / 13], [12 / 13]]),
    ],
)
def test_gradients_are_clipped_before_the_step(how: str, wanted: list[list[float]]) -> None:
    net = nn.ParameterList([nn.Parameter(torch.zeros(2)), nn.Parameter(torch.zeros(1))])
    cfg = _cfg(WEIGHT_DECAY=0.0, BASE_LR=1.0, MOMENTUM=0.0)
    cfg.SOLVER.CLIP_GRADIENTS.update({"ENABLED": True, "CLIP_TYPE": how, "CLIP_VALUE": 1.0, "NORM_TYPE": 2.0})
    optimizer, _ = build_solver(cfg, net)
    for parameter, gradient in zip(net, ([3.0, -4.0], [12.0]), strict=True):
        parameter.grad = torch.tensor(gradient)
    optimizer.step()
    for parameter, gradient in zip(net, wanted, strict=True):
        torch.testing.assert_close(-parameter.detach(), torch.tensor(gradient), rtol=1e-5, atol=1e-6)


def test_small_gradients_stay_as_they_are() -> None:
    parameter = nn.Parameter(torch.zeros(2))
    for how in ("value", "norm", "full_model"):
        parameter.grad = torch.tensor([0.3, -0.4])
        clip_gradients([parameter], how, 1.0, 2.0)
        torch.testing.assert_close(parameter.grad, torch.tensor([0.3, -0.4]))
