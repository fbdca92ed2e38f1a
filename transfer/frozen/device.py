"""Fits on a device, or on the CPU where a GPU's memory does not suffice."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TypeVar

import torch

Made = TypeVar("Made")


def fitted_on(
    device: torch.device, name: str, fit: Callable[[torch.device], Made]
) -> tuple[Made, torch.device]:
    """Gives what `fit` makes, and where that was: the optimum is the same within its tolerance."""
    try:
        return fit(device), device
    except torch.OutOfMemoryError:
        print(f"{name}: the GPU's memory does not suffice; going on, on the CPU", file=sys.stderr)
    cpu = torch.device("cpu")  # behind the error, which holds what was on the GPU
    return fit(cpu), cpu
