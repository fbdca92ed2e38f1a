"""Names the facts that belong to the weights: manifests state them, and recipes must not set them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from transfer.recipes.architectures import FAMILIES
from transfer.recipes.family import Family
from transfer.recipes.resnet import RESNET

# Manifest field -> key, of every family.
PIXELS = {
    "input_format": "INPUT.FORMAT",
    "pixel_mean": "MODEL.PIXEL_MEAN",
    "pixel_std": "MODEL.PIXEL_STD",
}


def manifest_keys(family: Family) -> dict[str, str]:
    """Maps manifest field -> key: the shape of the network, then its pixels."""
    return {**family.facts, **PIXELS}


def moving(family: Family, flat: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a recipe's keys that belong to the weights, for a hash: without later ones that say nothing."""
    silent = {
        key
        for field, key in family.facts.items()
        if field in family.later and flat[key] == family.random[field]
    }
    return {key: flat[key] for key in manifest_keys(family).values() if key not in silent}


def random_manifest(family: Family) -> dict[str, Any]:
    """Returns what a manifest would say of the random-initialised row of a family.

    Its pixels are not published; torchvision's are used.
    """
    return {
        "source": "random",
        **({} if family is RESNET else {"family": family.in_manifest}),
        **family.random,
        "input_format": "RGB",
        "pixel_mean": [123.675, 116.28, 103.53],
        "pixel_std": [58.395, 57.12, 57.375],
    }


def family_in(manifest: Mapping[str, Any]) -> Family | None:
    """Returns the family that a manifest names, None for one that no recipe can have.

    As in the converters, a manifest that names none is a ResNet's.
    """
    named = manifest.get("family", RESNET.in_manifest)
    return next((family for family in FAMILIES if family.in_manifest == named), None)


def facts_of(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """Returns what a manifest says of its network: its family, where it names one, shape and pixels."""
    family = family_in(manifest)
    fields = {"family", *(manifest_keys(family) if family else ())}
    return {field: value for field, value in manifest.items() if field in fields}


# Those of a ResNet.
MANIFEST_KEYS, RANDOM_MANIFEST = manifest_keys(RESNET), random_manifest(RESNET)
