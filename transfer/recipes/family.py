"""Describes a family of backbones in one row, from which recipes, engines and manifests read.

A family is a kind of network that gives feature maps, as ResNets of any depth and width are. A further one is
a file with its row beside `resnet.py`, its keys in `defaults.yaml`, its builder in an engine's
`backbones/`, and rows of `architectures.py` that name it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from transfer.recipes.rules import Rule


@dataclass(frozen=True)
class Family:
    """Keys are those of recipes, dotted; `stages` name the feature maps, the finest first."""

    name: str
    stages: tuple[str, ...]
    facts: Mapping[str, str]  # field of a backbone's manifest -> key; it belongs to the weights
    random: Mapping[str, Any]  # the same fields for the row that starts from nothing
    section: str  # of its numbers in a recipe
    numbers: Mapping[str, Rule]  # key within the section -> rule
    choices: Mapping[str, tuple[Any, ...]]  # key -> values that the engines honour
    outputs: str  # key of the stages that are handed on
    dilation: str  # key of the last stage's dilation
    norm: str  # key of its norms: they train unless frozen, and SOLVER.WEIGHT_DECAY_NORM is theirs
