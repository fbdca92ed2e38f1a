"""Reads names of ConvNeXts, as convnext_tiny. It imports no torch: command lines read them."""

from __future__ import annotations

import difflib

from pretrain.errors import PretrainError

# Blocks of the four stages, and the width of the first; each stage doubles it (arXiv 2201.03545, section 3).
SIZES = {
    "convnext_tiny": ((3, 3, 9, 3), 96),
    "convnext_small": ((3, 3, 27, 3), 96),
    "convnext_base": ((3, 3, 27, 3), 128),
    "convnext_large": ((3, 3, 27, 3), 192),
}
NARROW = {"w0.25x": 4, "w0.5x": 2}  # suffix -> what widths are divided by, for studies on a CPU
SMALLEST = 32  # pixels: four stages of strides 4, 2, 2 and 2 leave one place


def is_convnext(arch: str) -> bool:
    """Whether a name is that of a ConvNeXt, be it known or not."""
    return arch.startswith("convnext")


def parse_convnext(arch: str) -> tuple[tuple[int, ...], int]:
    """Blocks a stage and first width. Raises PretrainError, with the nearest names, for an unknown one."""
    suffix = next((suffix for suffix in NARROW if arch.endswith(suffix)), "")
    base = arch.removesuffix(suffix)
    if base not in SIZES:
        near = difflib.get_close_matches(base, SIZES, n=2, cutoff=0.0)
        raise PretrainError(
            f"unknown --arch {arch!r}; nearest: {', '.join(near)} (also with {', '.join(NARROW)})"
        )
    blocks, width = SIZES[base]
    return blocks, width // NARROW.get(suffix, 1)


def require_pixels(side: int, asked: str) -> None:
    """Raises PretrainError where views of `side` pixels, which `asked` gives, are too small."""
    if side < SMALLEST:
        raise PretrainError(
            f"{asked}: is {side} pixels wide, too few for the four stages of a ConvNeXt; expected "
            f"{SMALLEST} or more"
        )
