"""Makes SGD or AdamW, and Detectron2's schedule."""

from __future__ import annotations

from bisect import bisect_right

import torch
from torch import nn
from torch.optim.lr_scheduler import LambdaLR, LRScheduler
from yacs.config import CfgNode

from transfer.engines.layer_decay import parameter_groups
from transfer.engines.torchvision.names import detectron2_name


def build_solver(cfg: CfgNode, model: nn.Module) -> tuple[torch.optim.Optimizer, LRScheduler]:
    """Makes the solver of a recipe; the schedule is stepped once per iteration."""
    solver = cfg.SOLVER
    groups = parameter_groups(cfg, model, lambda name: detectron2_name(name, model.names))
    optimizer: torch.optim.Optimizer
    if solver.OPTIMIZER == "adamw":
        optimizer = torch.optim.AdamW(groups, lr=solver.BASE_LR, betas=tuple(solver.BETAS))
    else:
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
