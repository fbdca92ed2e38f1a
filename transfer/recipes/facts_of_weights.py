"""Names the facts that belong to the weights: manifests state them, and recipes must not set them."""

from __future__ import annotations

from typing import Any

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


def random_manifest(family: Family) -> dict[str, Any]:
    """Returns what a manifest would say of the random-initialised row of a family.

    Its pixels are not published; torchvision's are used.
    """
    return {
        "source": "random",
        **family.random,
        "input_format": "RGB",
        "pixel_mean": [123.675, 116.28, 103.53],
        "pixel_std": [58.395, 57.12, 57.375],
    }


# Those of a ResNet.
MANIFEST_KEYS, RANDOM_MANIFEST = manifest_keys(RESNET), random_manifest(RESNET)
