"""Resizes the patches of a vision transformer: its kernel for larger or smaller pieces of the image."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from converters.backbone import Backbone
from converters.errors import CheckpointError

KERNEL = "patch_embed.proj.weight"
LARGEST = 64  # pixels of a side


def with_patches(backbone: Backbone, side: int) -> Backbone:
    """The same network for patches of `side` pixels, by FlexiViT's pseudo-inverse (arXiv 2212.08013).

    A larger kernel gives for a patch that was enlarged by bicubic interpolation exactly the token that the
    file's own gives for the patch; a smaller one the nearest that there is. Positions stay what they are, one
    a patch. CheckpointError for another family, and for sides that no patch has.
    """
    manifest: dict[str, Any] = backbone.manifest
    if manifest.get("family") != "vit":
        raise CheckpointError("--patch-size is for a vision transformer, whose patches are cut by one kernel")
    if not 1 <= side <= LARGEST:
        raise CheckpointError(f"--patch-size {side}; expected 1 to {LARGEST} pixels")
    if side == (before := manifest["patch_size"]):
        return backbone
    kernel = backbone.weights[KERNEL].astype(np.float64)
    back = np.linalg.pinv(_resizing(before, side).T)
    resized = kernel.reshape(*kernel.shape[:2], -1) @ back.T
    resized = resized.reshape(*kernel.shape[:2], side, side).astype(np.float32)
    note = (
        f"patches of {before} pixels resized to {side} by FlexiViT's pseudo-inverse, as the user asked: for "
        f"images {side / before:g} times as large"
    )
    manifest = {**manifest, "patch_size": side, "notes": [*manifest["notes"], note]}
    return replace(backbone, weights={**backbone.weights, KERNEL: resized}, manifest=manifest)


def _resizing(before: int, after: int) -> np.ndarray:
    """(after^2, before^2): what enlarges or shrinks a patch, bicubic, with antialiasing where it shrinks."""
    import torch

    basis = torch.eye(before**2, dtype=torch.float64).reshape(-1, 1, before, before)
    found = torch.nn.functional.interpolate(basis, (after, after), mode="bicubic", antialias=True)
    return found.reshape(before**2, after**2).numpy().T
