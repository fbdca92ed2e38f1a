"""Fits a recipe to the patches of its weights: sizes that are written for one patch, for another."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from yacs.config import CfgNode

from transfer.errors import TransferError
from transfer.recipes.architectures import architecture_of
from transfer.recipes.flat import flatten, tree_of

WRITTEN_FOR = "INPUT.SIZES_FOR_PATCH"
# The sizes of images, crops and windows; those that must be whole patches come first.
WHOLE = ("INPUT.CROP.SIZE", "TEST.SLIDING_WINDOW.SIZE")
SIZES = (
    *WHOLE,
    "TEST.SLIDING_WINDOW.STRIDE",
    *(f"INPUT.{which}_SIZE_{when}" for which in ("MIN", "MAX") for when in ("TRAIN", "TEST")),
)


def in_pixels(cfg: CfgNode) -> CfgNode:
    """Returns the recipe with the sizes that its weights need, each rounded down; `cfg` itself if these fit.

    So every network sees as many patches: crops of 512 for patches of 16 are 448 for patches of 14, as in
    DINOv3's comparison (arXiv 2508.10104). Networks without patches keep what is written.
    """
    flat = flatten(cfg)
    written, key = flat[WRITTEN_FOR], architecture_of(flat).family.patch
    if not written or not key or flat[key] in (0, written):
        return cfg
    for name in SIZES:
        flat[name] = _scaled(flat[name], flat[key], written)
    return tree_of(flat | {WRITTEN_FOR: 0})


def sizes_of_whole_patches(flat: Mapping[str, Any]) -> list[str]:
    """Returns the keys of crops and windows that the recipe uses."""
    return [key for key in WHOLE if flat[f"{key.rpartition('.')[0]}.ENABLED"]]


def check_sizes(flat: Mapping[str, Any], source: str) -> None:
    """Refuses crops and windows that are no whole number of the patches that they are written for."""
    written = flat[WRITTEN_FOR]
    for key in WHOLE if written else ():
        if any(side % written for side in flat[key]):
            raise TransferError(
                f"{source}: {key} is {flat[key]}; expected multiples of {written}, as {WRITTEN_FOR} says"
            )


def _scaled(size: Any, patch: int, written: int) -> Any:
    if isinstance(size, list):
        return [_scaled(side, patch, written) for side in size]
    return int(size) * patch // written
