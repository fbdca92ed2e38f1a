"""Gives the facts of networks by name, `vit-small-16`, `resnet18`, or `vit,embed_dim=192,depth=4`.

Random weights need a shape and no file; this is where it is read from. Facts that neither the name nor the
user states follow from those that are: a hidden layer of four widths, heads of 64 channels, positions of an
image of 224 pixels; the rest is as usual in the family.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from typing import Any

from converters.errors import CheckpointError
from converters.models.resnet_depths import BASIC, BLOCKS
from converters.networks.family import Fact, Family
from converters.networks.table import FAMILIES, family_of, named

RANDOM = "random:"  # in front of such a name, as an init
LIKE = "random@"  # in front of a row's label: random weights in the shape of that row's network
IMAGE = 224  # pixels of a side of the images whose positions a drawn ViT has

_T, _S = [3, 3, 9, 3], [3, 3, 27, 3]
_WIDTHS = [1, 2, 4, 8]  # of the four stages of ConvNeXt and Swin, in those of the first
_V2 = {"grn": True, "layer_scale": False}
# Family -> size -> facts. Sources: ViT arXiv 2010.11929 table 1 and DeiT 2012.12877 table 1, ConvNeXt
# 2201.03545 section 3, ConvNeXt V2 2301.00808 appendix A.1, Swin 2103.14030 section 3.3.
SIZES: Mapping[str, Mapping[str, Mapping[str, Any]]] = {
    "resnet": {str(depth): {"depth": depth} for depth in BLOCKS},
    "vit": {
        "tiny": {"embed_dim": 192, "depth": 12, "num_heads": 3},
        "small": {"embed_dim": 384, "depth": 12, "num_heads": 6},
        "base": {"embed_dim": 768, "depth": 12, "num_heads": 12},
        "large": {"embed_dim": 1024, "depth": 24, "num_heads": 16},
        "huge": {"embed_dim": 1280, "depth": 32, "num_heads": 16},
    },
    "convnext": {
        name: {"depths": depths, "dims": [first * width for width in _WIDTHS], **version}
        for mark, version in (("", {}), ("v2-", _V2))
        for name, depths, first in (
            (f"{mark}tiny", _T, 96),
            (f"{mark}small", _S, 96),
            (f"{mark}base", _S, 128),
            (f"{mark}large", _S, 192),
        )
        if name != "v2-small"  # which its authors do not have
    },
    "swin": {
        "tiny": {"embed_dim": 96, "depths": [2, 2, 6, 2], "num_heads": [3, 6, 12, 24]},
        "small": {"embed_dim": 96, "depths": [2, 2, 18, 2], "num_heads": [3, 6, 12, 24]},
        "base": {"embed_dim": 128, "depths": [2, 2, 18, 2], "num_heads": [4, 8, 16, 32]},
        "large": {"embed_dim": 192, "depths": [2, 2, 18, 2], "num_heads": [6, 12, 24, 48]},
    },
}


def facts_of_size(text: str) -> dict[str, Any]:
    """The facts of shape behind `random:`, all of its family; `family` is there where a manifest has it.

    CheckpointError for what is no name or no fact of the family, and for facts of no such network.
    """
    name, *stated = text.split(",")
    family, facts = _named(text, name)
    known = {fact.key: fact for fact in (*family.facts, *family.stated)}
    for entry in stated:
        key, equals, value = entry.partition("=")
        if key not in known or not equals:
            raise CheckpointError(
                f"{RANDOM}{text:.200}: {entry!r:.60} is no fact of a {family.title}; expected key=value with "
                f"{', '.join(known)}"
            )
        facts[key] = _value(text, known[key], value)
    complete = {key: fact.usual for key, fact in known.items()} | facts
    complete |= _following(family, facts, complete)
    if wrong := [why for key, fact in known.items() if (why := fact.problem(complete[key]))]:
        raise CheckpointError(f"{RANDOM}{text:.200}: {wrong[0]}")
    try:
        family.shapes(complete)
    except (ValueError, TypeError, ZeroDivisionError) as error:
        raise CheckpointError(f"{RANDOM}{text:.200}: {error}") from None
    return {**named(family), **family.told(complete)}


def described(facts: Mapping[str, Any]) -> str:
    """The network of these facts, for people."""
    family = family_of(facts)
    return f"{family.label(facts)}, {family.details(facts)}"


def size_names() -> list[str]:
    """All names, as `--list` shows them; N stands for the side of a patch."""
    return [
        f"vit-{size}-N" if family.name == "vit" else _joined(family.name, size)
        for family in FAMILIES
        for size in SIZES.get(family.name, {})
    ]


def _joined(family: str, size: str) -> str:
    return f"{family}{'' if size[0].isdigit() or size.startswith('v2') else '-'}{size}"


def _named(text: str, name: str) -> tuple[Family, dict[str, Any]]:
    """The family of a name, and what the name alone says."""
    families = {family.name: family for family in FAMILIES}
    patches = re.fullmatch(r"(vit-\w+)-([1-9]\d?)", name)
    plain = patches[1] if patches else name
    for family in FAMILIES:
        for size, facts in SIZES.get(family.name, {}).items():
            if _joined(family.name, size) == plain and (patches is not None) == (family.name == "vit"):
                return family, {**facts, **({"patch_size": int(patches[2])} if patches else {})}
    if name in families:
        return families[name], {}
    expected = [*size_names(), *(f"{key},FACT=VALUE,..." for key in families)]
    near = difflib.get_close_matches(name, [one.replace("-N", "-16") for one in size_names()], n=2)
    hint = f"did you mean {' or '.join(near)}?" if near else f"expected one of {', '.join(expected)}"
    raise CheckpointError(f"{RANDOM}{text:.200}: {name!r:.60} is no network of a known size; {hint}")


def _value(text: str, fact: Fact, value: str) -> Any:
    """A fact's value as its kind has it; numbers of stages are joined by -, and one stands for all four."""
    try:
        if fact.kind is bool:
            return {"true": True, "false": False}[value.lower()]
        if fact.kind is list:
            numbers = [int(number) for number in value.split("-")]
            return numbers * (len(fact.usual) if len(numbers) == 1 else 1)
        return fact.kind(value)
    except (KeyError, ValueError):
        kinds = {bool: "true or false", list: "numbers joined by -, as in 2-2-6-2", int: "a whole number"}
        raise CheckpointError(
            f"{RANDOM}{text:.200}: {fact.key} is {value!r:.60}; expected {kinds.get(fact.kind, 'a number')}"
        ) from None


def _following(family: Family, facts: Mapping[str, Any], complete: Mapping[str, Any]) -> dict[str, Any]:
    """The facts that follow from others, where they are not stated themselves."""
    rule = {"resnet": _of_resnet, "vit": _of_vit}.get(family.name)
    found = {**family.usually(complete), **(rule(facts, complete) if rule else {})}
    return {key: value for key, value in found.items() if key not in facts}


def _of_resnet(facts: Mapping[str, Any], complete: Mapping[str, Any]) -> dict[str, Any]:
    """A block of three convolutions widens by four, a basic one and a stem by nothing.

    A ResNeXt is as wide outside as a ResNet, whatever its groups.
    """
    if complete["depth"] in BASIC:
        width = facts.get("res2_out_channels", facts.get("width_per_group", 64))
        return {"res2_out_channels": width, "width_per_group": width, "stem_out_channels": width}
    width = facts.get("width_per_group", 64) if complete["groups"] == 1 else 64
    return {"res2_out_channels": 4 * width, "stem_out_channels": width}


def _of_vit(facts: Mapping[str, Any], complete: Mapping[str, Any]) -> dict[str, Any]:
    """A hidden layer of four widths, and positions of a square image unless others stand for them."""
    instead = bool(complete["rope"] or complete["rel_pos"]) or facts.get("pos_tokens") == 0
    prefix = 0 if instead else facts.get("pos_prefix", int(complete["class_token"]))
    positions = 0 if instead else (IMAGE // complete["patch_size"]) ** 2 + prefix
    return {"mlp_dim": 4 * complete["embed_dim"], "pos_prefix": prefix, "pos_tokens": positions}
