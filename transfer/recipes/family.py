"""Describes a family of backbones in one row, from which recipes, engines and manifests read.

A family is a kind of network that gives feature maps, as ResNets of any depth and width are. A further one is
a file with its row beside `resnet.py`, its keys in `defaults.yaml`, its function in `converters/models`, and
rows of `architectures.py` that name it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from transfer.recipes.rules import Rule


@dataclass(frozen=True)
class Family:
    """Keys are those of recipes, dotted; `stages` name the feature maps, the finest first."""

    name: str  # for people; a manifest has it in lower case
    stages: tuple[str, ...]
    facts: Mapping[str, str]  # field of a backbone's manifest -> key; it belongs to the weights
    random: Mapping[str, Any]  # the same fields for the row that starts from nothing
    section: str  # of its numbers in a recipe
    numbers: Mapping[str, Rule]  # key within the section -> rule
    choices: Mapping[str, tuple[Any, ...]]  # key -> values that the engines honour
    outputs: str  # key of the stages that are handed on
    later: tuple[str, ...] = ()  # fields that a manifest leaves out where they are as in `random`
    dilation: str = ""  # key of the last stage's dilation; nothing: it has none
    patch: str = ""  # key of the side of its patches, where all maps have that stride
    coarsest: int = 0  # stride of its last map, where maps have unlike strides and crops must fill its cells
    norm: str = ""  # key of the kind of its BatchNorm; nothing: it has none
    # Key that is true where the model holds its final norm -> pattern of that norm's tensors in a file.
    final_norm: tuple[str, str] = ("", "")

    @property
    def in_manifest(self) -> str:
        """Returns what a manifest calls it."""
        return self.name.lower()

    def unused(self, flat: Mapping[str, Any]) -> dict[str, str]:
        """Maps the pattern of a file's tensors that the recipe's model has no use for -> the reason."""
        key, names = self.final_norm
        return {names: f"the final norm, {key} is off"} if key and not flat[key] else {}


def by_rule(section: str, fields: Iterable[str]) -> dict[str, str]:
    """Maps fields of a manifest to keys, by the rule of all families whose keys are not Detectron2's own."""
    return {field: f"{section}.{field.upper()}" for field in fields}
