"""Tensors of every publisher's ViT dropped, renamed, reshaped, doubled, transposed: none taken silently."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from converters.convert import open_checkpoint
from converters.errors import CheckpointError
from tests.converters.checkpoint_nets import Weights
from tests.converters.publishers.vit_case import ViTCase
from tests.converters.publishers.vit_cases import VIT_CASES

EACH = 5  # mutations of a kind in a file
# Whole without them, and then another network that its publisher has too: the manifest says 0 registers.
OPTIONAL = ("register_tokens", "storage_tokens")
Mutation = Callable[[Weights, str], None]


def drop(state: Weights, name: str) -> None:
    del state[name]


def rename(state: Weights, name: str) -> None:
    state[f"{name}_"] = state.pop(name)


def reshape(state: Weights, name: str) -> None:
    array = state[name]
    state[name] = array.reshape(-1)[:-1] if array.ndim == 1 else array.reshape(array.shape[0], -1, 1)


def double(state: Weights, name: str) -> None:
    state[f"_orig_mod.{name}"] = state[name] + state[name].dtype.type(1)


def transpose(state: Weights, name: str) -> None:
    """Of a vector, a row; a square matrix gets another row, as its shape would hide it."""
    array = state[name]
    square = array.ndim > 1 and array.shape == array.T.shape
    state[name] = np.concatenate([array, array[:1]]) if square else np.ascontiguousarray(array.T)
    if array.ndim == 1:
        state[name] = array[None]


MUTATIONS: tuple[Mutation, ...] = (drop, rename, reshape, double, transpose)
SMALL = [case for case in VIT_CASES if sum(array.size for array in case.state.values()) < 400_000]


def test_there_are_more_than_five_hundred() -> None:
    assert len(SMALL) * EACH * len(MUTATIONS) >= 500
    assert {case.source for case in VIT_CASES} - {case.source for case in SMALL} <= {"dinov3_sat"}


def known(case: ViTCase) -> list[str]:
    """Names of the file that are a part of the network, by the tensors that come out."""
    size = {array.size for array in case.ours.values()}
    first = [name for name in case.state if "head" not in name and "mask_token" not in name]
    return [name for name in first if case.state[name].size in size and not name.endswith(OPTIONAL)]


@pytest.mark.parametrize("mutate", MUTATIONS, ids=lambda mutation: mutation.__name__)
@pytest.mark.parametrize("part", range(3))
def test_no_mutation_is_accepted_silently(mutate: Mutation, part: int, tmp_path: Path) -> None:
    rng = np.random.default_rng(MUTATIONS.index(mutate))
    accepted, tried = [], 0
    for case in SMALL[part::3]:
        for name in rng.choice(known(case), EACH, replace=False):
            state = dict(case.state)
            mutate(state, str(name))
            tried += 1
            path = case.save(tmp_path / "mutated.pth", state)
            try:
                backbone = open_checkpoint(path, source=case.stated)
            except CheckpointError:
                continue
            same = backbone.weights.keys() == case.ours.keys() and all(
                np.array_equal(backbone.weights[ours], array) for ours, array in case.ours.items()
            )
            if not same:
                accepted.append(f"{case.name} {name}")
    assert tried == EACH * len(SMALL[part::3])
    assert not accepted, accepted
