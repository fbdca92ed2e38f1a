"""Makes SGD and Detectron2's schedule."""

from __future__ import annotations

from bisect import bisect_right

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm  # torch's SyncBatchNorm is no BatchNorm2d
from torch.optim.lr_scheduler import LambdaLR, LRScheduler
from yacs.config import CfgNode


def build_solver(cfg: CfgNode, model: nn.Module) -> tuple[torch.optim.Optimizer, LRScheduler]:
    """Makes plain SGD with WEIGHT_DECAY_NORM on norms; the schedule is stepped once per iteration."""
    norms: list[nn.Parameter] = []
    others: list[nn.Parameter] = []
    for module in model.modules():
        group = norms if isinstance(module, _BatchNorm) else others
        group.extend(p for p in module.parameters(recurse=False) if p.requires_grad)
    solver = cfg.SOLVER
    groups = [
        {"params": others, "weight_decay": solver.WEIGHT_DECAY},
        {"params": norms, "weight_decay": solver.WEIGHT_DECAY_NORM},
    ]
    optimizer = torch.optim.SGD(
        groups, lr=solver.BASE_LR, momentum=solver.MOMENTUM, nesterov=solver.NESTEROV, foreach=True
    )
    return optimizer, LambdaLR(optimizer, lambda iteration: lr_factor(cfg, iteration))


def lr_factor(cfg: CfgNode, iteration: int) -> float:
    """Detectron2's WarmupMultiStepLR at 0-based `iteration`: linear warm-up, GAMMA at every step passed."""
    solver = cfg.SOLVER
    steps = [step for step in solver.STEPS if step <= solver.MAX_ITER]

    def decayed(t: int) -> float:
        return float(solver.GAMMA ** bisect_right(steps, t))

    warmup = min(solver.WARMUP_ITERS, solver.MAX_ITER)
    if iteration >= warmup:
        return decayed(iteration)
    start, end = solver.WARMUP_FACTOR * decayed(0), decayed(warmup)
    return float(start + (end - start) * iteration / warmup)
