"""Describes the ResNet in its row; every backbone file without a family's name holds one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from converters.networks.family import Fact, Facts, Family
from converters.networks.resnet_health import WARNINGS
from converters.networks.resnet_names import AVG_DOWN, DIALECTS
from converters.networks.resnet_refusals import REFUSALS
from converters.networks.resnet_shapes import FACTS, PLAIN, closest, shapes

STRIDES = Fact("stride_in_1x1", bool, False, "stride in 1x1")  # of a block's first convolution, or its 3x3


def _label(facts: Facts) -> str:
    return f"ResNet-{facts['depth']}"


def _details(facts: Facts) -> str:
    deep = ", deep stem" if facts.get("stem", PLAIN) != PLAIN else ""
    return (
        f"groups {facts['groups']}, width {facts['width_per_group']}, stem {facts['stem_out_channels']}, "
        f"res2 {facts['res2_out_channels']}{deep}"
    )


def _home(name: str, prefix: str) -> str:
    """A C4 detector keeps res5 in its head, under `roi_heads` and not under `backbone`."""
    if name.startswith("res5.") and prefix.endswith("roi_heads."):
        return prefix.removesuffix("roi_heads.") + "backbone."
    return prefix


def _from_config(config: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """transformers' ResNets say where the strides are; the shapes do not."""
    if not config:
        return {STRIDES.key: False}, ["no config.json was given: strides assumed in the 3x3 convolution"]
    return {STRIDES.key: bool(config.get("downsample_in_bottleneck", False))}, []


def _unexportable(facts: Facts) -> str:
    if facts.get("stem", PLAIN) != PLAIN:
        return "torchvision's ResNet has no deep stem: write a .pkl"
    if not facts[STRIDES.key]:
        return ""
    return (
        "this network has its strides in the 1x1 convolutions, torchvision's and timm's in the 3x3: "
        "write a .pkl for Detectron2, or say --stride-in-1x1 false if the table is wrong about this file"
    )


RESNET = Family(
    "resnet",
    "ResNet",
    facts=FACTS,
    stated=(STRIDES, AVG_DOWN),
    shapes=shapes,
    closest=closest,
    label=_label,
    details=_details,
    dialects=DIALECTS,
    export_dialect="torchvision",
    colours="stem.conv1.weight",
    compared=("stem.conv1.weight", "res5.0.conv2.weight", "res3.0.conv1.norm.running_mean"),
    warnings=WARNINGS,
    refusals=REFUSALS,
    home=_home,
    from_config=_from_config,
    unexportable=_unexportable,
)
