"""Makes one training step of a row for `pretrain_rows.py`: ours, or lightly's on the same first weights."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable
from dataclasses import fields, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor

from benchmarks.perf.pretrain_lightly import lightly_step
from pretrain.methods.base import Step
from pretrain.methods.choose import joint_row
from pretrain.methods.joint.frame import JointEmbedding
from pretrain.methods.joint.row import Row
from pretrain.networks.encoders import make_encoder_factory
from pretrain.optimizers.build import build
from pretrain.training.updates import Updates

STEP = Step(2000, 20000, 100)  # in the midst of a run: nothing rests or warms up


def row_of(args: argparse.Namespace, name: str) -> Row:
    """The row with the sizes that were asked for, in one process and without shuffling."""
    row = joint_row(name)
    has = {field.name for field in fields(row)}
    more: dict[str, Any] = {
        key: getattr(args, key) for key in ("queue", "prototypes") if getattr(row, key, 0)
    }
    if args.width:
        for key in {"projector", "predictor", "dense_projector"} & has:
            more[key] = re.sub(r"(^|-)(w|\d+)", rf"\g<1>{args.width}", getattr(row, key))
    if "shuffle_bn" in has:
        more["shuffle_bn"] = False
    return replace(row, **more)


def step_of(args: argparse.Namespace, name: str, who: str) -> Callable[[], float]:
    """A function that makes the next step and returns its loss."""
    row, device = row_of(args, name), torch.device(args.device)
    torch.manual_seed(0)
    method = JointEmbedding(row, partial(make_encoder_factory, args.arch)).to(device)
    method.train()
    rng = torch.Generator().manual_seed(1)
    views = [
        torch.randn(args.batch_size, 3, asked.size, asked.size, generator=rng).to(device)
        for asked in row.sized_views(args.image_size)
        for _ in range(asked.count)
    ]
    return _ours(method, row, views, args) if who == "ours" else lightly_step(method, row, views)


def _ours(
    method: JointEmbedding, row: Row, views: list[Tensor], args: argparse.Namespace
) -> Callable[[], float]:
    """A step as `pretrain.training.loop` makes it."""
    device = views[0].device
    method.to(memory_format=torch.channels_last)
    views = [view.contiguous(memory_format=torch.channels_last) for view in views]
    named = [(name, p) for name, p in method.named_parameters() if p.requires_grad]
    built = build(
        row.optimizer, named, batch_size=args.batch_size, per_epoch=STEP.per_epoch, total=STEP.total
    )
    updates = Updates(
        built.optimizer, built.rates, device, decays=built.decays, clip=built.clip, resting=built.resting
    )
    index, rng = torch.arange(args.batch_size, device=device), torch.Generator()

    def step() -> float:
        updates.set_rates(STEP.done)
        loss, _ = method(views, index, rng, STEP)
        updates.step(loss)
        method.after_step()
        return loss.item()

    return step
