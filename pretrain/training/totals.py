"""Keeps running means on the device, which are read only now and then."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from pretrain.process import distributed


class Totals:
    """Sums of the loss and the figures beside it since they were last read; only reading waits."""

    def __init__(self, device: torch.device, figures: Sequence[str]) -> None:
        """`figures` are the names of a method's logs, in their order (`Method.figures`)."""
        self.values = {name: torch.zeros((), device=device) for name in ("loss", *figures, "steps")}

    def add(self, loss: Tensor, logs: dict[str, Tensor]) -> None:
        """Adds one step; where there are several losses, one a head, each counts as a step of its own."""
        for name, value in {"loss": loss.detach(), **logs}.items():
            for part in value.unbind() if value.dim() else (value,):
                self.values[name] += part
        self.values["steps"] += loss.numel()

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
