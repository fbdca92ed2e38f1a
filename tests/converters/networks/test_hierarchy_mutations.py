"""ConvNeXts and Swins with a tensor lost, renamed, doubled, turned, cut, poisoned or added: none is taken."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from converters.convert import open_checkpoint
from converters.errors import CheckpointError
from converters.networks.convnext import CONVNEXT
from converters.networks.family import ASIDE
from converters.networks.swin import SWIN
from tests.converters.networks import conv_cases, swin_cases
from tests.converters.networks.hierarchies import CONV, SHIFTED, V1, ours, with_index
from tests.converters.safetensors_bytes import write

Arrays = dict[str, np.ndarray]
LAYOUTS = {
    "convnext": lambda: ours(CONV | V1),
    "dinov3": lambda: conv_cases.dinov3()[2],
    "fcmae": lambda: conv_cases.fcmae()[0]["model"],
    "convnext_torchvision": lambda: conv_cases.torchvision_file()[0],
    "convnext_timm_convolved": lambda: conv_cases.timm_file(use_grn=True, conv_mlp=True)()[0],
    "convnext_mmpretrain": lambda: conv_cases.mmpretrain(V1)()[0]["state_dict"],
    "swin": lambda: with_index(ours(SHIFTED)),
    "swin_torchvision": lambda: swin_cases.torchvision_file()[0],
    "swin_timm": lambda: swin_cases.timm_file()[0],
    "swin_mmpretrain": lambda: swin_cases.mmpretrain()[0]["state_dict"],
}
SEEDS = 7


@cache
def layout(kind: str) -> tuple[Arrays, dict[str, str]]:
    """The arrays, and the names that are weights with what they are called by us or by the dialect."""
    arrays = {name: tensor.numpy().copy() for name, tensor in LAYOUTS[kind]().items()}
    dialects = {dialect.name: dialect for family in (CONVNEXT, SWIN) for dialect in family.dialects}
    words = dialects.get(kind, dialects["convnext"]).vocabulary()
    stripped = {name: name.removeprefix("backbone.").removeprefix("encoder.") for name in arrays}
    known = {name: words[short] for name, short in stripped.items() if short in words}
    return arrays, {name: mine for name, mine in known.items() if not mine.startswith(ASIDE)}


def drop(arrays: Arrays, name: str) -> str:
    del arrays[name]
    return "missing"


def rename(arrays: Arrays, name: str) -> str:
    arrays[name + "_"] = arrays.pop(name)
    return "missing"


def double(arrays: Arrays, name: str) -> str:
    arrays[f"module.{name}"] = arrays[name] + 1
    return "1 twice"


def turn(arrays: Arrays, name: str) -> str:
    array = arrays[name]
    arrays[name] = np.ascontiguousarray(array.T if array.ndim > 1 else array[None])
    return "wrong shape|missing|stem of another size"


def cut(arrays: Arrays, name: str) -> str:
    arrays[name] = np.ascontiguousarray(arrays[name][..., :-1])
    return "wrong shape|missing|stem of another size"


def poison(arrays: Arrays, name: str) -> str:
    array = arrays[name] = arrays[name].copy()
    array.reshape(-1)[array.size // 2] = (np.nan, np.inf, -np.inf)[len(name) % 3]
    return "NaN or infinite"


def add(arrays: Arrays, name: str) -> str:
    arrays[f"{name.rpartition('.')[0]}.extra"] = arrays[name]
    return "1 unexpected"


MUTATIONS: tuple[Callable[[Arrays, str], str], ...] = (drop, rename, double, turn, cut, poison, add)


@pytest.mark.parametrize("kind", LAYOUTS)
def test_no_mutation_is_accepted(kind: str, tmp_path: Path) -> None:
    whole, weights = layout(kind)
    open_checkpoint(write(tmp_path / "whole.safetensors", whole))
    draws = np.random.default_rng(sum(kind.encode()))
    accepted, vague = [], []
    for mutate in MUTATIONS:
        for name in draws.choice(sorted(weights), SEEDS, replace=False):
            arrays = dict(whole)
            expected = mutate(arrays, name)
            path = write(tmp_path / "mutated.safetensors", arrays)
            try:
                backbone = open_checkpoint(path)
            except CheckpointError as error:
                if not any(word in str(error) for word in expected.split("|")):
                    vague.append(f"{mutate.__name__} {name}: {error}")
                continue
            # A square matrix keeps its shape when it is turned; then the values must be the file's.
            square = mutate is turn and arrays[name].shape == whole[name].shape
            if not (square and is_held(backbone.weights, arrays[name])):
                accepted.append(f"{mutate.__name__} {name}")
    assert not accepted
    assert not vague


def is_held(weights: Arrays, array: np.ndarray) -> bool:
    """Whether one of the weights is that array, or has it in its rows."""
    flat = [w for w in weights.values() if w.size >= array.size and w.shape[1:] == array.shape[1:]]
    return any(np.array_equal(array, w[: len(array)]) or np.array_equal(array, w) for w in flat)


def test_there_are_enough() -> None:
    assert len(LAYOUTS) * len(MUTATIONS) * SEEDS >= 300


def shuffled(arrays: Arrays) -> str:
    name = "layers.1.blocks.0.attn.relative_position_index"
    arrays[name] = arrays[name][:, ::-1].copy()
    return "layers.1.blocks.0.attn.relative_position_index is not that of a window"


def another_norm(arrays: Arrays) -> str:
    arrays["norms.3.bias"] = arrays["norm.bias"] + 1
    return "the final norm is in the file twice, and its bias is not the same"


def shifted_window(arrays: Arrays) -> str:
    name = "layers.2.blocks.1.attn.relative_position_bias_table"
    arrays[name] = np.ones((9, 4), "f4")
    return "layers.2.blocks.1.attn.relative_position_bias_table (9, 4) instead of (49, 4)"


def lost_scales(arrays: Arrays) -> str:
    for name in [name for name in arrays if name.endswith(".gamma")]:
        del arrays[name]
    return "7 missing: stages.0.0.gamma"


def missing_block(arrays: Arrays) -> str:
    for name in [name for name in arrays if name.startswith("stages.2.1.")]:
        del arrays[name]
    return "9 missing: stages.2.1.gamma"


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        ("swin", shuffled),
        ("swin", shifted_window),
        ("convnext", another_norm),
        ("convnext", lost_scales),
        ("convnext", missing_block),
    ],
)
def test_what_a_network_cannot_be_is_told(kind: str, change: Callable[[Arrays], str], tmp_path: Path) -> None:
    arrays = dict(layout(kind)[0])
    expected = change(arrays)
    with pytest.raises(CheckpointError) as told:
        open_checkpoint(write(tmp_path / "a.safetensors", arrays))
    assert expected in str(told.value)
