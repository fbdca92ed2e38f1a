"""Watches a run for collapse: measures the last batch now and then, records, and announces."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from pretrain.errors import PretrainError
from pretrain.methods.base import MOST_IMAGES, Method
from pretrain.methods.joint.outputs import spread
from pretrain.monitors.measures import (
    alignment,
    code_usage,
    lidar,
    rankme,
    target_entropy,
    uniformity,
)
from pretrain.monitors.symptoms import Course, symptoms
from pretrain.process.progress import Reporter


@dataclass
class CollapseMonitor:
    """Measures `method.last`, which a method leaves behind after each step, every few iterations.

    `last` holds "projections", the views of the batch as a list of NxC, and may hold "teacher", NxK
    probabilities. Only the first process measures, its own share of the batch.
    """

    every: int  # iterations
    method: Method[Any]
    reporter: Reporter | None  # None in all processes but the first
    stop: bool = False  # a collapse ends the run
    course: Course = field(default_factory=Course)

    def due(self, done: int) -> bool:
        return done > 0 and done % self.every == 0

    def measure(self, done: int) -> None:
        """Raises PretrainError at a collapse, where the run is to end by one."""
        if self.reporter is None:
            return
        last = self.method.last
        if last is None:  # no step was made since the run was started again
            return
        if not all_finite(last):  # nothing to measure; the run ends by its loss, where that is not finite
            return
        values = measured(last, self.method)
        self.reporter.record(done, values)
        found = symptoms(values)
        new, gone = self.course.add(done, found)
        for name in gone:
            self.reporter.say(f"iteration {done}: {name} tells of a collapse no more")
        for name in self.course.lasting() if self.stop else new:
            told = f"collapse since iteration {self.course.since(name)}: {name} is {found[name]}"
            if self.stop:
                raise PretrainError(f"{told}; stopped by --stop-on-collapse, earlier checkpoints are good")
            self.reporter.say(told)


def all_finite(last: dict[str, Any]) -> bool:
    teacher = last.get("teacher")
    tensors = [*last["projections"], *([] if teacher is None else [teacher])]
    return all(bool(x[:MOST_IMAGES].isfinite().all()) for x in tensors)


@torch.no_grad()
def measured(last: dict[str, Any], network: nn.Module) -> dict[str, float]:
    """The measures of one batch by name. `rank_share` is that of the largest rank that it allows."""
    views = [view[:MOST_IMAGES].detach().float() for view in last["projections"]]
    views = [view for view in views if view.shape == views[0].shape]
    first, stacked = views[0], torch.stack(views[:2], 1)  # of more views LiDAR costs too much
    rank = rankme(first)
    values = {
        "feature_std": float(spread(first)),
        "rankme": rank,
        "rank_share": rank / min(first.shape),
        "uniformity": uniformity(first),
    }
    if len(views) > 1:
        values |= {"alignment": alignment(stacked), "lidar": lidar(stacked)}
    teacher = last.get("teacher")
    if teacher is not None:
        teacher = teacher[:MOST_IMAGES]
        values |= {"target_entropy": target_entropy(teacher), "code_usage": code_usage(teacher)}
    norm = first_layer_gradient(network)
    return values if norm is None else values | {"first_layer_gradient": norm}


def first_layer_gradient(network: nn.Module) -> float | None:
    """The norm of the last gradient of the first weights that learn; a spike precedes a dip (MoCo v3)."""
    grads: list[Tensor] = [p.grad for p in network.parameters() if p.grad is not None and p.ndim > 1]
    return float(grads[0].norm()) if grads else None
