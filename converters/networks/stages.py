"""Reads and checks what ConvNeXt and Swin have in common: four stages of blocks, and layer norms."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from converters.networks import vit_names
from converters.networks.family import Facts, Shape, Shapes, Weights

DEEPEST = (12, 12, 48, 12)  # blocks a stage; published ones have up to (5, 4, 30, 4)
MODULE = ("weight", "bias")
# What may lie beside such a network, and why it is left out.
MAP_NORM = "a norm of one map, which belongs to a detector or segmenter"
BESIDE = (
    *vit_names.BESIDE,
    ("classifier.*", vit_names.CLASSIFIER),
    ("head_*", "a head of pre-training"),
    *((f"norm{i}.*", MAP_NORM) for i in range(4)),
    ("hidden_states_norms.*", MAP_NORM),
    ("norms.3.*", "the final norm once more, and the same"),
    ("*relative_position_index", "the index of a window's positions, computed and the same"),
    ("*attn_mask", "a mask for one size of image, which is computed for each"),
    ("proj.*", "the projection of masked pre-training"),
    ("pred.*", "the prediction of masked pre-training"),
    ("pooler.*", "it has no weights of the network"),
)
Sizes = Mapping[tuple[int, tuple[int, ...]], str]  # (first width, blocks) -> the letter that it goes by


def four(facts: Facts, key: str, most: Iterable[int] = (1 << 16,) * 4) -> tuple[int, ...]:
    """The fact of that key, four counts. ValueError unless each is from 1 to its `most`."""
    values, most = facts[key], tuple(most)
    whole = type(values) is list and len(values) == 4 and all(type(value) is int for value in values)
    if not whole or not all(1 <= value <= top for value, top in zip(values, most, strict=True)):
        raise ValueError(f"{key} {values!r:.60}; expected four counts from 1 to {max(most)}")
    return tuple(values)


def depths(found: Shapes, block: str) -> list[int]:
    """Blocks of each stage by the highest number, from 1 to DEEPEST; `block` matches stage and number."""
    most = [1] * 4
    for name in found:
        if match := re.match(block, name):
            stage, number = int(match[1]), int(match[2])
            if stage < 4:
                most[stage] = max(most[stage], number + 1)
    return [min(count, top) for count, top in zip(most, DEEPEST, strict=True)]


def size(found: Shapes, name: str, axis: int, usual: int) -> int:
    """One axis of a tensor, `usual` where there is none such."""
    shape = found.get(name, ())
    return shape[axis] if len(shape) > axis and 0 < shape[axis] < 1 << 16 else usual


def module(name: str, *weight: int, bias: bool = True) -> dict[str, Shape]:
    """The two tensors of a layer with that weight; the bias is as long as the weight's first axis."""
    return {f"{name}.weight": weight} | ({f"{name}.bias": weight[:1]} if bias else {})


def untrained(weights: Weights) -> str:
    """Warns of layer norms that are all as initialised, which the first step moves."""
    norms = {name: array for name, array in weights.items() if ".norm" in name or name.startswith("norm.")}
    values = {"weight": 1, "bias": 0}
    if all((array == values[name.rpartition(".")[2]]).all() for name, array in norms.items()):
        return "all norms still have weight 1 and bias 0: this network never took a training step"
    return ""


def no_final_norm(weights: Weights) -> str:
    """Says that the file has no norm behind the last stage."""
    return "" if "norm.weight" in weights else "the file has no final norm, as a detector's or FCMAE's"


def sized(facts: Facts, sizes: Sizes, width: int) -> str:
    """The letter of a published size, or its first width and its blocks."""
    blocks = tuple(facts["depths"])
    return sizes.get((width, blocks), f"{width} ({', '.join(map(str, blocks))})")
