"""Trains, one iteration after the other, without waiting for the device except to print."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import nn

from pretrain.images.draws import step_seed
from pretrain.images.loader import Batch
from pretrain.methods.base import Method, Step
from pretrain.process import distributed
from pretrain.training.updates import Updates
from pretrain.training.watcher import Watcher


def train(
    method: Method,
    forward: Callable,
    batches: Iterable[Batch],
    updates: Updates,
    watcher: Watcher,
    iterations: range,
    seed: int,
    per_epoch: int = 1,
) -> int:
    """Trains a method by one batch an iteration; returns the number of iterations done.

    `forward` is the method as it is called (see `callable_of`). `batches` are those of `iterations`. The
    random numbers of a step depend on `seed` and its iteration alone, so a resumed run draws the same ones;
    those that layers draw by themselves, as skipped blocks do, on the process, too.
    per_epoch: iterations, of which the method is told
    """
    method.train()
    rng = torch.Generator()
    last = iterations.stop
    for iteration, batch in zip(iterations, batches, strict=False):
        updates.set_rates(iteration)
        number = step_seed(seed, iteration)
        rng.manual_seed(number)
        torch.manual_seed(number + distributed.rank())
        views = batch.images(updates.device)
        index = batch.index.to(updates.device, non_blocking=True)
        with updates.autocast():
            loss, logs = forward(views, index, rng, Step(iteration, last, per_epoch))
        updates.step(loss.sum())
        method.after_step()
        if watcher.after_step(iteration + 1, last, loss, logs):
            return iteration + 1
    return max(iterations.start, last)  # a finished run that is started again has nothing to do


def callable_of(method: Method, device: torch.device, compiled: bool) -> nn.Module:
    """The method as the loop calls it: encoders compiled on request, gradients averaged over processes.

    Buffers are not broadcast: the queue is equal everywhere by construction, and 32 MB a step otherwise.
    """
    if compiled:
        for encoder in method.children():
            encoder.compile()
    if distributed.world_size() == 1:
        return method
    devices = [device] if device.type == "cuda" else None
    return nn.parallel.DistributedDataParallel(method, device_ids=devices, broadcast_buffers=False)
