"""Over 500 seeded mutations of vision transformers in other publishers' words: none is accepted silently."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file

from converters.containers.reading import open_file
from converters.convert import open_checkpoint
from converters.errors import CheckpointError
from converters.finding.choosing import find
from converters.networks.family import ASIDE
from tests.converters.publishers.vit_foreign_cases import VIT_FOREIGN
from tests.converters.publishers.vit_foreign_files import ViTCase

Arrays = dict[str, np.ndarray]
Write = Callable[[Arrays], None]
# Without them the file is another publisher's whole network: no registers, no class token.
ALONE = ("register_tokens", "cls_token")
CASES = [case for case in VIT_FOREIGN if not case.options and not case.name.startswith(("light", "solo"))]
EACH = 14


def contents(path: Path) -> tuple[Arrays, Write]:
    """The arrays of a file of whatever kind, and how to put others in their place."""
    if path.is_dir():
        path = next(path.glob("*.safetensors"))
    if path.suffix == ".npz":
        return dict(np.load(path)), lambda arrays: np.savez(path, **arrays)
    if path.suffix == ".safetensors":
        return load_file(path), lambda arrays: save_file(arrays, path)
    root: Any = torch.load(path, weights_only=False)
    keys = [key for key in ("state_dict", "module", "model") if key in root]
    holder = root[keys[0]] if keys else root

    def write(arrays: Arrays) -> None:
        holder.clear()
        holder.update({name: torch.from_numpy(array) for name, array in arrays.items()})
        torch.save(root, path)

    return {name: tensor.numpy() for name, tensor in holder.items()}, write


def drop(arrays: Arrays, name: str) -> None:
    del arrays[name]


def rename(arrays: Arrays, name: str) -> None:
    arrays[name + "_"] = arrays.pop(name)


def double(arrays: Arrays, name: str) -> None:
    """Another one under a wrapper's name; names with slashes have none."""
    if "/" in name or name == "cls":
        rename(arrays, name)
    else:
        arrays[f"module.{name}"] = arrays[name] + 1


def add_axis(arrays: Arrays, name: str) -> None:
    arrays[name] = arrays[name][None]


def cut(arrays: Arrays, name: str) -> None:
    """The last row less: another depth, width or number of registers for this tensor alone."""
    array = arrays[name]
    arrays[name] = np.ascontiguousarray(
        array[..., :-1] if name.endswith("register_tokens") else array[..., 1:]
    )


def poison(arrays: Arrays, name: str) -> None:
    array = arrays[name] = np.array(arrays[name])
    array.reshape(-1)[array.size // 2] = (np.nan, np.inf, -np.inf)[len(name) % 3]


def integers(arrays: Arrays, name: str) -> None:
    arrays[name] = (100 * arrays[name]).astype(np.int32)


def stranger(arrays: Arrays, name: str) -> None:
    """A tensor of nobody's in the middle of the network."""
    owner, separator, _ = name.rpartition("/" if "/" in name else ".")
    arrays[f"{owner}{separator}gate" if owner else name + "_gate"] = np.ones(3, np.float32)


MUTATIONS = (drop, rename, double, add_axis, cut, poison, integers, stranger)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_no_mutation_is_accepted(case: ViTCase, tmp_path: Path) -> None:
    path = case.build(case.weights(), tmp_path)
    candidate = find(open_file(path)).complete[0][0].candidate
    names = {ours: theirs for ours, theirs in candidate.names.items() if not ours.startswith(ASIDE)}
    arrays, write = contents(path)
    rng = np.random.default_rng(len(case.name))
    accepted = []
    for turn in range(EACH):
        mutate = MUTATIONS[turn % len(MUTATIONS)]
        ours = list(names)[rng.integers(len(names))]
        if mutate is drop and ours in ALONE:
            continue
        changed = dict(arrays)
        mutate(changed, names[ours])
        write(changed)
        with suppress(CheckpointError):
            open_checkpoint(path)
            accepted.append(f"{mutate.__name__} {names[ours]}")
    assert not accepted
    write(arrays)
    open_checkpoint(path)  # and the file itself is still whole


def test_there_are_enough() -> None:
    assert len(CASES) * (EACH - 1) > 500
