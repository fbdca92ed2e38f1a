"""Builds the function of a backbone from its manifest. Every package may import this folder; it needs torch.

A module made here has exactly the tensors of the backbone file in its `state_dict()`, and those that an
option makes new, which match the patterns of its `fresh`. Called, it is (N, 3, H, W) -> {name: (N, C, H/s,
W/s)} on images that are normalised by the manifest's pixels and in its channel order.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any, Protocol

from torch import Tensor, nn

from converters.errors import CheckpointError

# Family, as a manifest names it -> the file beside this one, and the class in it.
FUNCTIONS = {
    "vit": ("vit", "ViT"),
    "convnext": ("convnext", "ConvNeXt"),
    "swin": ("swin", "Swin"),
}


class Function(Protocol):
    """The maps of a backbone; it is an nn.Module too."""

    strides: dict[str, int]  # pixels by the name of the map, exactly those of the network
    channels: dict[str, int]  # by the name of the map
    size_divisibility: int  # images are padded to a multiple of it, on the right and below
    fresh: tuple[str, ...]  # fnmatch patterns of tensors that no file has

    def __call__(self, x: Tensor) -> dict[str, Tensor]: ...


def build(manifest: Mapping[str, Any], **options: Any) -> nn.Module:
    """The function with these facts, randomly initialised, on the current default device.

    manifest: of a backbone, or any table with `family` and the facts of that family; options: the keyword
    arguments of the family's class. CheckpointError for a family without a function or facts that fit none.
    """
    family = manifest.get("family", "resnet")
    if family not in FUNCTIONS:
        raise CheckpointError(
            f"the function of family {family!r:.60} is not here; expected {', '.join(FUNCTIONS)}"
        )
    file, name = FUNCTIONS[family]
    make: Callable[..., nn.Module] = getattr(import_module(f"converters.models.{file}"), name)
    try:
        return make(manifest, **options)
    except ValueError as error:
        raise CheckpointError(f"{family}: {error}") from None
