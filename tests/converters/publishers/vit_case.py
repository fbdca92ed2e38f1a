"""Defines a file of a publisher of vision transformers, and what the converter must make of it."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tests.converters.checkpoint_nets import Weights, tensors
from tests.converters.publishers.vit_nets import Net

Wrap = Callable[[Weights], Any]
LAYER_SCALE, GAMMA = ("ls1.gamma", "ls2.gamma"), ("gamma_1", "gamma_2")
OPTIONS = argparse.Namespace(lr=1e-3, model="vit", data_path=Path("data"))
NET = Net()


@dataclass(frozen=True)
class ViTCase:
    """A file, and what the converter must say about it."""

    name: str
    source: str
    state: Weights  # the dictionary with the network, by the file's names
    ours: Weights  # what must come out
    wrap: Wrap  # puts the dictionary where the publisher does
    encoder: str = "single"
    stated: str | None = None  # given as --source
    facts: Mapping[str, Any] = field(default_factory=dict)

    def save(self, path: Path, state: Weights | None = None) -> Path:
        torch.save(self.wrap(self.state if state is None else state), path)
        return path


def flat(state: Weights) -> Any:
    return tensors(state)


def at(key: str, **beside: Any) -> Wrap:
    """The dictionary under one key, with other things of a training at the top."""
    return lambda state: {key: tensors(state), **beside}


def junk(*names: str, shape: tuple[int, ...] = (4, 8)) -> Weights:
    return {name: np.ones(shape, "f4") for name in names}


HEAD = junk("head.weight") | junk("head.bias", shape=(4,))
TRAINING = {"epoch": 3, "args": OPTIONS, "optimizer": {"state": {}, "param_groups": []}}
