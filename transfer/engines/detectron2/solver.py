"""Makes a recipe's optimizer from Detectron2's own groups of parameters, and its schedule."""

from __future__ import annotations

import torch
from detectron2.solver import build_lr_scheduler, build_optimizer
from detectron2.solver.build import get_default_optimizer_params
from torch import nn
from torch.optim.lr_scheduler import LRScheduler
from yacs.config import CfgNode

from transfer.engines.detectron2.config import detectron2_config
from transfer.engines.layer_decay import rate_factor


def build_solver(cfg: CfgNode, model: nn.Module) -> tuple[torch.optim.Optimizer, LRScheduler]:
    """Makes its SGD, or AdamW with layer decay as its ViTDet recipes have it; a step an iteration."""
    config = detectron2_config(cfg, next(model.parameters()).device)
    solver = cfg.SOLVER
    if solver.OPTIMIZER == "sgd":
        optimizer = build_optimizer(config, model)
    else:
        groups = get_default_optimizer_params(
            model,
            base_lr=solver.BASE_LR,
            weight_decay=solver.WEIGHT_DECAY,
            weight_decay_norm=solver.WEIGHT_DECAY_NORM,
            lr_factor_func=rate_factor(cfg),
            overrides={name: {"weight_decay": 0.0} for name in solver.NO_WEIGHT_DECAY},
        )
        optimizer = torch.optim.AdamW(groups, lr=solver.BASE_LR, betas=tuple(solver.BETAS))
    return optimizer, build_lr_scheduler(config, optimizer)
