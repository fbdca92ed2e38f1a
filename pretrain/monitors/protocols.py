"""Defines the published settings of the evaluations. It imports no torch: command lines read them before."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

KNN_NEIGHBOURS, KNN_TEMPERATURE = 200, 0.07  # Wu et al. 2018, on ImageNet: about 1300 images a class


def neighbours(smallest_class: int) -> int:
    """Chooses how many neighbours vote, from the images of the smallest class among those that vote.

    They are the published 200 where it has 1000 or more, else fewer by the root of that number, and never
    more than it has: it could not win a vote of many others. docs/pretraining.md has the measurement.
    """
    return min(KNN_NEIGHBOURS, smallest_class, round(math.sqrt(smallest_class * KNN_NEIGHBOURS / 5)))


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
