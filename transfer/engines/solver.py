"""Makes the optimizer and the schedule of a recipe, for both engines: SGD or AdamW, by Detectron2's rules.

The rate of a group is a pure function of the step, so a run that is resumed has the rate that it would have
had. Parameters that take no gradient are in no group.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm  # torch's SyncBatchNorm is no BatchNorm2d
from torch.optim.lr_scheduler import LambdaLR, LRScheduler
from yacs.config import CfgNode

# What Detectron2's `get_default_optimizer_params` takes for a norm. Its own layer norm of channels is none.
NORMS = (
    *(_BatchNorm, nn.GroupNorm, nn.LayerNorm, nn.LocalResponseNorm),
    *(nn.InstanceNorm1d, nn.InstanceNorm2d, nn.InstanceNorm3d),
)


def build_solver(
    cfg: CfgNode, model: nn.Module, rate_of: Callable[[str], float] = lambda name: 1.0
) -> tuple[torch.optim.Optimizer, LRScheduler]:
    """Makes the optimizer, and its schedule, which is stepped once per iteration.

    rate_of: parameter name -> share of the learning rate, as layer-wise decay gives it.
    """
    solver, groups = cfg.SOLVER, parameter_groups(cfg, model, rate_of)
    optimizer: torch.optim.Optimizer
    if solver.OPTIMIZER == "adamw":
        optimizer = torch.optim.AdamW(groups, lr=solver.BASE_LR, betas=tuple(solver.BETAS), foreach=True)
    else:
        momentum = {"momentum": solver.MOMENTUM, "nesterov": solver.NESTEROV}
        optimizer = torch.optim.SGD(groups, lr=solver.BASE_LR, foreach=True, **momentum)
    clip = solver.CLIP_GRADIENTS
    if clip.ENABLED:
        parameters = [p for group in groups for p in group["params"]]
        optimizer.register_step_pre_hook(
            lambda *_: clip_gradients(parameters, clip.CLIP_TYPE, clip.CLIP_VALUE, clip.NORM_TYPE)
        )
    return optimizer, LambdaLR(optimizer, lambda iteration: lr_factor(cfg, iteration))


def parameter_groups(cfg: CfgNode, model: nn.Module, rate_of: Callable[[str], float]) -> list[dict[str, Any]]:
    """Groups the parameters that train by decay and rate, in the order in which the model has them.

    WEIGHT_DECAY_NORM is for norms, none for those whose last name is in NO_WEIGHT_DECAY.
    """
    solver = cfg.SOLVER
    groups: dict[tuple[bool, float, float], dict[str, Any]] = {}
    seen: set[nn.Parameter] = set()
    for place, module in model.named_modules():
        norm = isinstance(module, NORMS)
        for name, parameter in module.named_parameters(recurse=False):
            if not parameter.requires_grad or parameter in seen:
                continue
            seen.add(parameter)
            decay = solver.WEIGHT_DECAY_NORM if norm else solver.WEIGHT_DECAY
            decay = 0.0 if name in solver.NO_WEIGHT_DECAY else decay
            rate = solver.BASE_LR * rate_of(f"{place}.{name}" if place else name)
            group = {"params": [], "weight_decay": decay, "lr": rate}
            groups.setdefault((norm, decay, rate), group)["params"].append(parameter)
    return list(groups.values())


def lr_factor(cfg: CfgNode, iteration: int) -> float:
    """The share of its rate that a group has at 0-based `iteration`: the schedule, behind a linear warm-up.

    Detectron2's WarmupMultiStepLR and WarmupCosineLR warm up to where the schedule is at the end of the
    warm-up; its DeepLab project's WarmupPolyLR, like mmsegmentation's, multiplies the two.
    """
    solver = cfg.SOLVER
    warmup = min(solver.WARMUP_ITERS, solver.MAX_ITER)
    scheduled = SCHEDULES[solver.LR_SCHEDULER_NAME]
    if iteration >= warmup:
        return scheduled(solver, iteration)
    part = iteration / warmup
    if solver.LR_SCHEDULER_NAME == "WarmupPolyLR":
        return float((solver.WARMUP_FACTOR * (1 - part) + part) * scheduled(solver, iteration))
    start, end = solver.WARMUP_FACTOR * scheduled(solver, 0), scheduled(solver, warmup)
    return float(start + (end - start) * part)


def _multistep(solver: CfgNode, t: int) -> float:
    """GAMMA at every step passed."""
    return float(solver.GAMMA ** bisect_right([s for s in solver.STEPS if s <= solver.MAX_ITER], t))


def _cosine(solver: CfgNode, t: int) -> float:
    """Half a cosine from 1 to BASE_LR_END / BASE_LR."""
    end = solver.BASE_LR_END / solver.BASE_LR
    return float(end + (1 - end) * (1 + math.cos(math.pi * min(t / solver.MAX_ITER, 1.0))) / 2)


def _poly(solver: CfgNode, t: int) -> float:
    return float(max(1 - t / solver.MAX_ITER, 0.0) ** solver.POLY_LR_POWER)


SCHEDULES: dict[str, Callable[[CfgNode, int], float]] = {
    "WarmupMultiStepLR": _multistep,
    "WarmupCosineLR": _cosine,
    "WarmupPolyLR": _poly,
}


def clip_gradients(parameters: Iterable[nn.Parameter], how: str, value: float, norm_type: float) -> None:
    """Clips gradients in their place: each number ("value"), each parameter's norm, or that of all together.

    "value" and "norm" are Detectron2's; "full_model" is that of torch's `clip_grad_norm_` over the model.
    """
    parameters = list(parameters)
    if how == "value":
        nn.utils.clip_grad_value_(parameters, value)
    elif how == "norm":
        for parameter in parameters:
            nn.utils.clip_grad_norm_(parameter, value, norm_type)
    else:
        nn.utils.clip_grad_norm_(parameters, value, norm_type)
