"""Trains linear layers by SGD, one for each learning rate, all on the same batches of features.

The steps are torch's: momentum (Nesterov's or not), weight decay, mean cross entropy over the batch. Which
rate counts is no business of this file: it is chosen on images that were not trained on.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor

from transfer.probes.checks import ProbeError

DEVIATION = 0.01  # of the first weights, as in MoCo's, DINO's and DINOv2's linear evaluations


@dataclass(frozen=True)
class Descent:
    """How layers are trained. schedule: `cosine` to 0, or `steps`: a tenth three times, evenly."""

    rates: tuple[float, ...]
    steps: int
    momentum: float = 0.9
    nesterov: bool = True
    weight_decay: float = 0.0
    schedule: str = "cosine"

    def factor(self, step: int) -> float:
        """Gives what the rates are multiplied by at a step, from 0."""
        if self.schedule == "cosine":
            return 0.5 * (1 + math.cos(math.pi * step / self.steps))
        return float(0.1 ** (4 * step // self.steps))


class Layers:
    """Linear layers from features (N, D) to K classes, one for each rate: weight (R, K, D), bias (R, K)."""

    def __init__(self, width: int, classes: int, how: Descent, seed: int, device: torch.device | str = "cpu"):
        drawn = torch.randn(classes, width, generator=torch.Generator().manual_seed(seed)) * DEVIATION
        count = len(how.rates)
        self.weights = [drawn.to(device, copy=True).requires_grad_() for _ in range(count)]
        self.biases = [torch.zeros(classes, device=device, requires_grad=True) for _ in range(count)]
        self.how, self.done = how, 0
        self.optimizer = torch.optim.SGD(
            [
                {"params": [weight, bias], "lr": rate}
                for weight, bias, rate in zip(self.weights, self.biases, how.rates, strict=True)
            ],
            momentum=how.momentum,
            nesterov=how.nesterov,
            weight_decay=how.weight_decay,
        )

    def step(self, features: Tensor, labels: Tensor, batch: int, shared: bool = False) -> None:
        """Goes one step on this process's part (n, D), (n,) of a `batch` of images.

        shared: gradients are added over the processes of torch's group, each of which calls this.
        """
        for group, rate in zip(self.optimizer.param_groups, self.how.rates, strict=True):
            group["lr"] = rate * self.how.factor(self.done)
        self.optimizer.zero_grad()
        with torch.enable_grad():
            for weight, bias in zip(self.weights, self.biases, strict=True):
                loss = F.cross_entropy(F.linear(features, weight, bias), labels, reduction="sum") / batch
                loss.backward()
        if shared:
            for gradient in (tensor.grad for tensor in (*self.weights, *self.biases)):
                if gradient is not None:
                    dist.all_reduce(gradient)
        self.optimizer.step()
        self.done += 1

    def scores(self, number: int, features: Any) -> Tensor:
        """(N, K) logits of the layer of this number, of features (N, D)."""
        weight, bias = self.weights[number].detach(), self.biases[number].detach()
        return F.linear(torch.as_tensor(features).to(weight), weight, bias)

    def finite(self) -> list[bool]:
        """Whether the numbers of each layer are finite; a rate too high drives them away."""
        pairs = zip(self.weights, self.biases, strict=True)
        return [bool(weight.isfinite().all() & bias.isfinite().all()) for weight, bias in pairs]

    def state(self) -> dict[str, Any]:
        """All that training goes on from, for `torch.save`."""
        whole = {f"weight{i}": w.detach() for i, w in enumerate(self.weights)}
        whole |= {f"bias{i}": b.detach() for i, b in enumerate(self.biases)}
        return {"tensors": whole, "optimizer": self.optimizer.state_dict(), "done": self.done}

    def load(self, state: dict[str, Any]) -> None:
        """Takes what `state` gave."""
        with torch.no_grad():
            for name, tensors in (("weight", self.weights), ("bias", self.biases)):
                for i, tensor in enumerate(tensors):
                    tensor.copy_(state["tensors"][f"{name}{i}"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.done = state["done"]


def best(scores: Sequence[float], finite: Sequence[bool]) -> int:
    """The number of the highest score among the finite layers, the first of equal ones."""
    if not any(finite):
        raise ProbeError("linear layers: no rate gave finite numbers; lower PROBE.LINEAR.RATES")
    return max((i for i, ok in enumerate(finite) if ok), key=lambda i: (scores[i], -i))
