"""Defines the settings of the linear classification. It imports no torch: command lines read them before."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class LinearProtocol:
    """The options of a linear classification that move its numbers, named as on the command line."""

    lr: tuple[float, ...]  # one a classifier
    epochs: int
    schedule: tuple[int, ...]  # epochs at which the rates fall to a tenth
    batch_size: int
    image_size: int  # pixels
    seed: int

    def identity(self) -> dict[str, Any]:
        """The options in JSON types, as checkpoints hold them."""
        return {**asdict(self), "lr": list(self.lr), "schedule": list(self.schedule)}
