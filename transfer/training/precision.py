"""Runs training steps in half precision: autocast, and for float16 the scaling of the loss.

Statistics and predictions stay in single precision, as in Detectron2. bfloat16 has float32's range and needs
no scaler. float16 is for GPUs without bfloat16: small gradients would vanish, so the loss is multiplied; a
step whose gradients overflow is left out and the factor halved, which is no divergence. A processor that only
emulates bfloat16 trains in float32, tens of times faster; the record says so.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from yacs.config import CfgNode

from converters.processor import computes_bfloat16

DTYPES = {"bfloat16": torch.bfloat16, "float16": torch.float16}


def instead_of_recipe(cfg: CfgNode, device: torch.device) -> str | None:
    """The number format of training steps where it is not the recipe's, as a record names it; else None."""
    amp = cfg.SOLVER.AMP
    wanted = device.type == "cpu" and amp.ENABLED and amp.DTYPE == "bfloat16"
    return "float32" if wanted and not computes_bfloat16() else None


class Precision:
    """Carries out SOLVER.AMP of a recipe on a device."""

    def __init__(self, cfg: CfgNode, device: torch.device):
        amp = cfg.SOLVER.AMP
        self.device, self.dtype = device, DTYPES[amp.DTYPE]
        self.enabled = amp.ENABLED and instead_of_recipe(cfg, device) is None
        self.format = str(self.dtype if self.enabled else torch.float32).removeprefix("torch.")
        self.recipes = amp.DTYPE if amp.ENABLED else "float32"
        self.formats: list[str] = []  # of the steps so far, on this machine and on those before a resume
        self.scaler = torch.amp.GradScaler(device.type, enabled=amp.ENABLED and amp.DTYPE == "float16")

    def autocast(self) -> Any:
        return torch.autocast(self.device.type, self.dtype, enabled=self.enabled)

    def backward(self, loss: Tensor) -> None:
        """Adds the gradients of the loss, times the scaler's factor."""
        self.scaler.scale(loss).backward()

    def unscale(self, optimizer: torch.optim.Optimizer) -> None:
        """Makes the gradients true ones, before anybody looks at them."""
        self.scaler.unscale_(optimizer)

    def overflowed(self, gradient_norm: float) -> bool:
        """Whether only the factor made the gradients not finite: it has room to fall."""
        return self.scaler.is_enabled() and not math.isfinite(gradient_norm) and self.scaler.get_scale() > 1

    def step(self, optimizer: torch.optim.Optimizer) -> None:
        """Takes the optimizer's step unless gradients overflowed, then sets the next factor."""
        if self.format not in self.formats:
            self.formats.append(self.format)
        self.scaler.step(optimizer)
        self.scaler.update()

    @property
    def told(self) -> str | None:
        """The formats of the steps in turn, as a record says them; None where all were the recipe's."""
        return None if set(self.formats) <= {self.recipes} else " then ".join(self.formats)

    def state(self) -> dict[str, Any]:
        """The scaler's state for a checkpoint; empty without a scaler."""
        return self.scaler.state_dict()

    def load(self, state: dict[str, Any], formats: list[str]) -> None:
        self.formats = list(formats)
        if state:
            self.scaler.load_state_dict(state)
