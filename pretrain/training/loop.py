"""The training loop: one iteration after the other, without waiting for the device except to print."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pretrain.errors import PretrainError
from pretrain.images.draws import step_seed
from pretrain.images.loader import Batch
from pretrain.process import distributed

HALF = {"bf16": torch.bfloat16, "fp16": torch.float16}


class Totals:
    """Sums of loss and accuracy on the device since they were last read; reading is the only wait for the
    device.
    """

    def __init__(self, device: torch.device) -> None:
        self.values = {name: torch.zeros((), device=device) for name in ("loss", "acc1", "acc5", "steps")}

    def add(self, loss: Tensor, logits: Tensor, labels: Tensor) -> None:
        own = logits.gather(1, labels[:, None])
        better = (logits > own).sum(1)  # how many beat the positive: cheaper than a top-5 over 65 537 columns
        self.values["loss"] += loss
        self.values["acc1"] += (better < 1).float().mean() * 100
        self.values["acc5"] += (better < 5).float().mean() * 100
        self.values["steps"] += 1

    def read(self) -> dict[str, float]:
        """Means over the steps and the processes since the last call; starts again from zero."""
        sums = distributed.mean_over_processes(torch.stack(list(self.values.values()))).tolist()
        for value in self.values.values():
            value.zero_()
        return {name: value / sums[-1] for name, value in zip(self.values, sums[:-1], strict=False)}

    def finite(self) -> bool:
        return math.isfinite(float(self.values["loss"]))

    def load(self, stored: dict[str, Tensor]) -> None:
        for name, value in stored.items():
            self.values[name].copy_(value)


def train(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    batches: Iterable[Batch],
    *,
    first: int,
    last: int,
    seed: int,
    device: torch.device,
    learning_rate: Callable[[int], float],
    colour_steps: tuple[str, ...],
    augmented: bool,
    precision: str,
    scaler: Any,
    totals: Totals,
    print_every: int,
    report: Callable[[int, dict[str, float]], None],
    after_step: Callable[[int], bool],
) -> int:
    """Trains from iteration `first` to `last`; returns the number of iterations done.

    `report` gets the means of every `print_every` iterations. `after_step(done)` may save; True ends the
    training. Raises PretrainError where the loss is no longer finite.
    """
    model.train()
    rng = torch.Generator()
    for iteration, batch in zip(range(first, last), batches, strict=False):
        rate = learning_rate(iteration)
        for group in optimizer.param_groups:
            group["lr"] = rate
        images = batch.images(device, colour_steps, augmented)  # one view or two, as the mechanism wants
        rng.manual_seed(step_seed(seed, iteration))
        with autocast(device, precision):
            logits, labels = model(images[0], images[-1], batch.index.to(device, non_blocking=True), rng)
        loss = F.cross_entropy(logits, labels)
        optimizer.zero_grad(set_to_none=True)
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()
        totals.add(loss.detach(), logits.detach(), labels)

        done = iteration + 1
        if done % print_every == 0 or done == last:
            means = totals.read()
            require_finite(means["loss"], done)
            report(done, {**means, "lr": rate})
        if after_step(done):
            return done
    return max(first, last)  # a finished run that is started again has nothing to do


def require_finite(loss: float, iteration: int) -> None:
    if not math.isfinite(loss):
        raise PretrainError(
            f"the loss became {loss} by iteration {iteration}; the last checkpoint is from before; "
            "lower --lr or use --precision fp32"
        )


def autocast(device: torch.device, precision: str) -> contextlib.AbstractContextManager:
    if precision == "fp32":
        return contextlib.nullcontext()
    return torch.autocast(device.type, dtype=HALF[precision])


def choose_precision(wanted: str, device: torch.device) -> str:
    """ "auto" takes bfloat16 where the hardware computes in it, else float32."""
    if wanted == "fp16" and device.type != "cuda":
        raise PretrainError("--precision fp16 needs a GPU; use bf16 or fp32 on a CPU")
    if wanted != "auto":
        return wanted
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp16"
    return "bf16" if _cpu_has_bf16() else "fp32"


def _cpu_has_bf16() -> bool:
    """Emulated bfloat16 is slower than float32, so the instruction sets are asked for by name."""
    try:
        with open("/proc/cpuinfo") as file:
            flags = file.read()
    except OSError:
        return False
    return "amx_bf16" in flags or "avx512_bf16" in flags


def prepared(model: nn.Module, device: torch.device, compiled: bool) -> nn.Module:
    """The model as the loop calls it: encoders compiled on request, gradients averaged where there are
    several processes.

    Buffers are not broadcast: the queue is equal everywhere by construction, and 32 MB a step otherwise.
    """
    if compiled:
        for encoder in model.children():
            encoder.compile()
    if distributed.world_size() == 1:
        return model
    devices = [device] if device.type == "cuda" else None
    return nn.parallel.DistributedDataParallel(model, device_ids=devices, broadcast_buffers=False)
