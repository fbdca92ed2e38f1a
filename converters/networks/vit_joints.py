"""Joins and splits tensors where a dialect stores several for one of ours, or one for several of ours.

All are cut along the first axis in equal parts, and named by their endings in a block.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from converters.networks.family import Shape, Shapes, Weights


@dataclass(frozen=True)
class Joined:
    """Several of theirs, one behind the other, are one of ours; "" are zeros that they do not store."""

    ours: str  # "attn.qkv.bias"
    theirs: tuple[str, ...]  # ("attn.q_bias", "", "attn.v_bias")


@dataclass(frozen=True)
class Split:
    """One of theirs holds several of ours."""

    theirs: str  # "mlp.w12.weight"
    ours: tuple[str, ...]  # ("mlp.fc1_g.weight", "mlp.fc1_x.weight")


Joint = Joined | Split


def halves(theirs: str) -> tuple[Split, ...]:
    """Gate and value of a gated MLP in one tensor, the gate first."""
    parts = ("weight", "bias")
    return tuple(Split(f"{theirs}.{part}", (f"mlp.fc1_g.{part}", f"mlp.fc1_x.{part}")) for part in parts)


def stored(joint: Joint, expected: Shapes) -> dict[str, Shape]:
    """Our shapes -> theirs."""
    found: dict[str, Shape] = {}
    for name, shape in expected.items():
        match joint:
            case Joined(ours, theirs) if (block := _before(name, ours)) is not None:
                part = (shape[0] // len(theirs), *shape[1:])
                found |= {block + ending: part for ending in theirs if ending}
            case Split(theirs, ours) if (block := _before(name, ours[0])) is not None:
                found[block + theirs] = (shape[0] * len(ours), *shape[1:])
            case Split(_, ours) if any(_before(name, ending) is not None for ending in ours[1:]):
                continue
            case _:
                found[name] = shape
    return found


def likened(joint: Joint, found: Shapes) -> dict[str, Shape]:
    """Their shapes -> ours, from the first part of each; what does not fit is left as it is."""
    ours: dict[str, Shape] = {}
    for name, shape in found.items():
        match joint:
            case Joined(mine, theirs) if shape and (block := _before(name, theirs[0])) is not None:
                ours[block + mine] = (shape[0] * len(theirs), *shape[1:])
            case Split(theirs, mine) if shape and (block := _before(name, theirs)) is not None:
                ours |= {block + ending: (shape[0] // len(mine), *shape[1:]) for ending in mine}
            case _:
                ours[name] = shape
    return ours


def assembled(joint: Joint, arrays: Weights) -> dict[str, np.ndarray]:
    """Their arrays -> ours."""
    ours: dict[str, np.ndarray] = {}
    for name, array in arrays.items():
        match joint:
            case Joined(mine, theirs) if (block := _before(name, theirs[0])) is not None:
                parts = [arrays[block + part] if part else np.zeros_like(array) for part in theirs]
                ours[block + mine] = np.concatenate(parts)
            case Joined(_, theirs) if any(part and _before(name, part) is not None for part in theirs[1:]):
                continue
            case Split(theirs, mine) if (block := _before(name, theirs)) is not None:
                parts = np.split(array, len(mine))
                ours |= {
                    block + ending: np.ascontiguousarray(p) for ending, p in zip(mine, parts, strict=True)
                }
            case _:
                ours[name] = array
    return ours


def _before(name: str, ending: str) -> str | None:
    """The part of `name` before `.ending`, with the dot; None if it does not end so."""
    return name[: -len(ending)] if name.endswith(f".{ending}") else None
