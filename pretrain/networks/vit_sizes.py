"""Reads names of vision transformers, as vit_small_patch16. It imports no torch: command lines read them."""

from __future__ import annotations

import re
from dataclasses import dataclass

from pretrain.errors import PretrainError

# Width and depth (arXiv 2010.11929, table 1; 2012.12877, table 1). A hidden layer has four widths.
SIZES = {"tiny": (192, 12), "small": (384, 12), "base": (768, 12), "large": (1024, 24)}
_ARCH = re.compile(r"vit_([a-z]+)(?:_depth([1-9]\d?))?_patch([1-9]\d?)")
HEAD = 64  # channels of a head, where a publisher has no other number of heads


@dataclass(frozen=True)
class VitKind:
    """The choices of a publisher for vision transformers."""

    # How the weights begin: "normal", or as in "mae" or "moco_v3", with their fixed positions.
    begin: str = "normal"
    interpolation: str = "detectron2"  # how positions are fitted to other sizes (converters.models.positions)
    heads: int = 0  # of every size; 0: one for 64 channels


def is_vit(arch: str) -> bool:
    """Whether a name is that of a vision transformer, be it known or not."""
    return arch.startswith("vit_")


def patch_of(arch: str) -> int:
    """The side of a patch in pixels; 1 for other networks, which take images of any size."""
    return parse_vit(arch)[2] if is_vit(arch) else 1


def parse_vit(arch: str) -> tuple[int, int, int]:
    """Width, depth and patch of `vit_SIZE_patchN`, or of `vit_SIZE_depthL_patchN`, which has L layers.

    Raises PretrainError for a name of no such network.
    """
    match = _ARCH.fullmatch(arch)
    if match is None or match[1] not in SIZES:
        raise PretrainError(
            f"unknown --arch {arch!r}; expected vit_SIZE_patchN with SIZE {', '.join(SIZES)} and N pixels, "
            "as in vit_small_patch16, or vit_SIZE_depthL_patchN with L layers"
        )
    width, depth = SIZES[match[1]]
    return width, int(match[2] or depth), int(match[3])


def heads_of(arch: str, kind: VitKind) -> int:
    """The attention heads that a publisher gives to a size."""
    return kind.heads or max(1, parse_vit(arch)[0] // HEAD)


def require_whole_patches(side: int, patch: int, asked: str = "--image-size") -> None:
    """Raises PretrainError where an image of `side` pixels, which `asked` gives, has no whole patches."""
    if side % patch:
        raise PretrainError(
            f"{asked}: is {side} pixels wide, no multiple of the patch of {patch}; "
            f"nearest valid: {max(1, round(side / patch)) * patch} pixels"
        )
