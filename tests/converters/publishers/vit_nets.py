"""Source vision transformers for the tests: names and shapes written by hand from the publishers' classes.

They are small and have weights that look trained. `tests/converters/networks/test_vit_timm.py` holds the
names against timm's own classes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from tests.converters.checkpoint_nets import Weights

Shapes = dict[str, tuple[int, ...]]


@dataclass(frozen=True)
class Net:
    """What a publisher's class is told."""

    width: int = 64
    depth: int = 5
    heads: int = 1
    patch: int = 4
    side: int = 3  # of the grid of positions
    hidden: int = 96
    registers: int = 0
    scale: tuple[str, str] | None = None  # names of a block's two layer scales
    positions: int = 10  # rows, 0 for no table
    gated: bool = False


def plain(net: Net) -> Shapes:
    """timm's VisionTransformer, as MAE, DINO, DeiT and others have it."""
    width = net.width
    found: Shapes = {"cls_token": (1, 1, width)}
    if net.positions:
        found["pos_embed"] = (1, net.positions, width)
    found |= {"patch_embed.proj.weight": (width, 3, net.patch, net.patch), "patch_embed.proj.bias": (width,)}
    for block in range(net.depth):
        found |= {f"blocks.{block}.{name}": shape for name, shape in _block(net).items()}
    return found | _norm("norm", width)


def _block(net: Net) -> Shapes:
    width, hidden = net.width, net.hidden
    found = _norm("norm1", width) | _linear("attn.qkv", 3 * width, width)
    found |= _linear("attn.proj", width, width) | _norm("norm2", width)
    found |= _linear("mlp.fc1", hidden, width) | _linear("mlp.fc2", width, hidden)
    return found | {name: (width,) for name in net.scale or ()}


def _norm(name: str, width: int) -> Shapes:
    return {f"{name}.weight": (width,), f"{name}.bias": (width,)}


def _linear(name: str, rows: int, columns: int) -> Shapes:
    return {f"{name}.weight": (rows, columns), f"{name}.bias": (rows,)}


def filled(shapes: Mapping[str, tuple[int, ...]], seed: int = 0) -> Weights:
    """Weights as training leaves them: no two tensors alike."""
    rng = np.random.default_rng(seed)
    weights: Weights = {}
    for name, shape in shapes.items():
        spread = 1 / np.sqrt(shape[-1]) if len(shape) > 1 else 0.1
        centre = 1 if "norm" in name and name.endswith("weight") else 0
        weights[name] = (centre + spread * rng.standard_normal(shape)).astype("f4")
    return weights


def sincos(side: int, width: int, moco: bool = False) -> np.ndarray:
    """(1, side^2 + 1, width) as MAE's or MoCo v3's loops give it, in float32; the class token's row is 0."""
    table = np.zeros((side * side + 1, width))
    quarter = width // 4
    for row in range(side):
        for column in range(side):
            first, second = (row, column) if moco else (column, row)
            for k in range(quarter):
                omega = 10000 ** (-k / quarter)
                values = (
                    np.sin(first * omega),
                    np.cos(first * omega),
                    np.sin(second * omega),
                    np.cos(second * omega),
                )
                table[1 + row * side + column, k::quarter] = values
    return table[None].astype("f4")
