"""Defines what a step of a cell works with, and what it gives back to be finished by the main process."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np
from yacs.config import CfgNode

from transfer.datasets.image_list.images import Images
from transfer.frozen.extract import How
from transfer.frozen.probes import Result
from transfer.frozen.view import Seen, View
from transfer.process.distributed import World

Had = TypeVar("Had")


class Makes(Protocol):
    """Gives (N, D) float32 features of a list, from the cache where they are; every process calls it.

    view: what the network sees, the recipe's by default. one_by_one: sizes differ from image to image.
    Whoever is not the main process may get None.
    """

    def __call__(
        self, images: Images, view: Seen | None = None, one_by_one: bool = False
    ) -> np.ndarray | None:
        """The features."""


@dataclass(frozen=True)
class Work:
    """A cell's means: recipe, network, features, and where trained layers are kept.

    facts: what of the weights, the precision and the device features are of, in JSON types.
    """

    cfg: CfgNode
    net: Any
    features: Makes
    view: View
    how: How
    facts: dict[str, Any]
    heads: Path
    seed: int
    world: World
    group: Any


@dataclass(frozen=True)
class Finished:
    """A result, the features of the test that ride along, and the ids of what it was tested on."""

    result: Result
    features: np.ndarray | None
    ids: Sequence[str]


def there(value: Had | None) -> Had:
    """Gives what the main process has, and no other."""
    if value is None:
        raise RuntimeError("the main process alone finishes a cell; this one has no features")
    return value


# What remains to be done when all features are there, by the main process alone; it opens the truth.
Finish = Callable[[], Finished]
