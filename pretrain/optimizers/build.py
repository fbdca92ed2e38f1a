"""Builds the optimizer of a row: its parameter groups, and the schedules of each."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from pretrain.errors import PretrainError
from pretrain.optimizers.lars import LARS
from pretrain.optimizers.rows import Optimizer
from pretrain.optimizers.schedules import Schedule, constant, warm_cosine


@dataclass(frozen=True)
class Built:
    """An optimizer, and what changes between its steps: one schedule a parameter group."""

    optimizer: torch.optim.Optimizer
    rates: list[Schedule]
    decays: list[Schedule]  # weight decays
    clip: float | None  # the norm of each parameter's gradient
    resting: list[tuple[list[nn.Parameter], int]]  # parameters, and the first iteration that moves them


def build(
    row: Optimizer,
    named_parameters: Iterable[tuple[str, nn.Parameter]],
    *,
    batch_size: int,
    per_epoch: int,
    total: int,
) -> Built:
    """The optimizer of the parameters that learn; `per_epoch` and `total` are iterations.

    Parameters that the row freezes for good lose their `requires_grad` and are left out. Raises PretrainError
    where the warm-up is no shorter than the run.
    """
    warmup = row.warmup_epochs * per_epoch
    if warmup >= total:
        raise PretrainError(
            f"the warm-up of {row.warmup_epochs} epochs takes {warmup} iterations of {total}; "
            "train longer or lower the warm-up"
        )
    named = _without_frozen(row, named_parameters)
    groups = parameter_groups(row, named, batch_size)
    rates = [_rate(row, group, warmup, per_epoch, total) for group in groups]
    end = row.wd if row.wd_end is None else row.wd_end
    decay = warm_cosine(row.wd, end=end, total=total)
    decays = [decay if group["adapt"] else constant(0.0) for group in groups]
    for group in groups:
        del group["constant"]
    resting = [
        ([parameter for name, parameter in named if freeze.part in name], until)
        for freeze in row.freeze
        if (until := freeze.until(per_epoch))
    ]
    return Built(_optimizer(row, groups), rates, decays, row.clip, resting)


def _without_frozen(
    row: Optimizer, named_parameters: Iterable[tuple[str, nn.Parameter]]
) -> list[tuple[str, nn.Parameter]]:
    learning = []
    for name, parameter in named_parameters:
        if any(freeze.part in name and freeze.until(1) is None for freeze in row.freeze):
            parameter.requires_grad_(False)
        if parameter.requires_grad:
            learning.append((name, parameter))
    return learning


def parameter_groups(
    row: Optimizer, named: Sequence[tuple[str, nn.Parameter]], batch_size: int
) -> list[dict[str, Any]]:
    """At most four groups, as `torch.optim` takes them, with the base rate, decay and adaptation of each.

    The order is that of the first parameter of each; within a group it is that of `named`.
    """
    scale = batch_size / 256 if row.per_256 else 1.0
    groups: dict[tuple[bool, bool], dict[str, Any]] = {}
    for name, parameter in named:
        # torchvision's layer scale of a ConvNeXt, (C, 1, 1), is its authors' `gamma`, (C,)
        excluded = row.exclude == "1d" and (parameter.ndim < 2 or name.endswith("layer_scale"))
        steady = name.startswith(row.constant) if row.constant else False
        if (excluded, steady) not in groups:
            lr = row.bias_lr if excluded and row.bias_lr is not None else row.lr
            groups[excluded, steady] = {
                "params": [],
                "lr": lr * scale,
                "weight_decay": 0.0 if excluded else row.wd,
                "adapt": not excluded,
                "constant": steady,
            }
        groups[excluded, steady]["params"].append(parameter)
    return list(groups.values())


def _rate(row: Optimizer, group: dict[str, Any], warmup: int, per_epoch: int, total: int) -> Schedule:
    base = group["lr"]
    if group["constant"]:
        return constant(base)
    return warm_cosine(
        base,
        end=max(row.end_lr, row.end_share * base),
        total=total,
        warmup=warmup,
        start=row.warmup_start * base,
        inclusive=row.warmup_inclusive,
        per_epoch=per_epoch if row.by_epoch else None,
    )


def _optimizer(row: Optimizer, groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
    if row.kind in ("lars", "lars_tf", "larc"):
        return LARS(groups, row.lr, kind=row.kind, momentum=row.momentum, eta=row.eta, eps=row.eps)
    for group in groups:
        del group["adapt"]
    if row.kind == "sgd":
        # torch's fused kernel refuses a group of which some parameters were moved before and others were not
        one_kernel = {"foreach": True} if row.freeze else {"fused": True}
        return torch.optim.SGD(groups, row.lr, momentum=row.momentum, **one_kernel)
    return torch.optim.AdamW(groups, row.lr, betas=row.betas, eps=row.eps, fused=True)
