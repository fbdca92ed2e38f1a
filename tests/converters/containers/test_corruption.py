"""Damage is found: truncation of every container; bit flips, zeroed pages and swaps in a torch zip."""

from __future__ import annotations

import pickle
import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from converters.backbone import Backbone, load_backbone, save_backbone
from converters.convert import open_checkpoint
from converters.errors import CheckpointError
from tests.converters.checkpoint_nets import Weights, tensors
from tests.converters.foreign_names import prefixed
from tests.converters.safetensors_bytes import write

FLIPS = 1_000
STEP = 64 * 1024


def torch_zip(weights: Weights, folder: Path) -> Path:
    path = folder / "a.pth"
    torch.save({"state_dict": tensors(prefixed(weights, "module.encoder_q.")), "epoch": 3}, path)
    return path


def torch_legacy(weights: Weights, folder: Path) -> Path:
    path = folder / "a.pt"
    torch.save({"state_dict": tensors(weights)}, path, _use_new_zipfile_serialization=False)
    return path


def plain_pickle(weights: Weights, folder: Path) -> Path:
    path = folder / "a.pkl"
    path.write_bytes(pickle.dumps({"state_dict": weights}, protocol=4))
    return path


def npz(weights: Weights, folder: Path) -> Path:
    np.savez(folder / "a.npz", **weights)
    return folder / "a.npz"


def npz_compressed(weights: Weights, folder: Path) -> Path:
    np.savez_compressed(folder / "a.npz", **weights)
    return folder / "a.npz"


def safetensors(weights: Weights, folder: Path) -> Path:
    return write(folder / "a.safetensors", weights)


def converted(weights: Weights, folder: Path) -> Path:
    save_backbone(open_checkpoint(safetensors(weights, folder)), folder / "backbone.pkl")
    return folder / "backbone.pkl"


MAKERS: tuple[Callable[[Weights, Path], Path], ...] = (
    torch_zip, torch_legacy, plain_pickle, npz, npz_compressed, safetensors, converted,
)  # fmt: skip


@pytest.mark.parametrize("make", MAKERS, ids=lambda make: make.__name__)
def test_every_container_reads_back_equal(
    make: Callable[[Weights, Path], Path], tiny: Weights, tmp_path: Path
) -> None:
    backbone = open_checkpoint(make(tiny, tmp_path))
    np.testing.assert_array_equal(backbone.weights["res4.5.conv2.weight"], tiny["layer3.5.conv2.weight"])
    assert len(backbone.weights) == 318


@pytest.mark.parametrize("make", MAKERS, ids=lambda make: make.__name__)
def test_every_truncation_is_found(
    make: Callable[[Weights, Path], Path], tiny: Weights, narrow: Weights, tmp_path: Path
) -> None:
    """Every 64 KiB of a file of 1.6 MB, and the last kilobyte of a small one."""
    for weights, cuts in ((narrow, range(0, 10**7, STEP)), (tiny, range(1, 1024, 31))):
        path = make(weights, tmp_path)
        whole = path.read_bytes()
        sizes = [cut for cut in cuts if cut < len(whole)]
        for size in sizes if weights is narrow else [len(whole) - cut for cut in sizes]:
            path.write_bytes(whole[:size])
            with pytest.raises(CheckpointError):
                open_checkpoint(path)


def outcome(path: Path) -> Backbone | None:
    try:
        return open_checkpoint(path)
    except CheckpointError:
        return None


def differs(one: Backbone, two: Backbone) -> bool:
    return any(not np.array_equal(array, two.weights[name]) for name, array in one.weights.items())


@pytest.mark.parametrize("part", range(5))
def test_every_bit_flip_that_changes_a_value_is_found(part: int, tiny: Weights, tmp_path: Path) -> None:
    """1,000 in a torch zip file and 250 in a converted one. A flip may fall into padding, where it changes
    nothing; what is accepted must hold the same weights."""
    path = (converted if part == 4 else torch_zip)(tiny, tmp_path)
    original, whole = open_checkpoint(path), path.read_bytes()
    rng, found = random.Random(part), 0
    for _ in range(FLIPS // 4):
        place = rng.randrange(len(whole))
        damaged = bytearray(whole)
        damaged[place] ^= 1 << rng.randrange(8)
        path.write_bytes(damaged)
        result = outcome(path)
        found += result is None
        assert result is None or not differs(original, result), place
    assert found > FLIPS // 8


def test_flips_inside_the_weights_are_all_refused(narrow: Weights, tmp_path: Path) -> None:
    """Where a flip certainly changes a value: in the bytes of the largest kernel."""
    path = torch_zip(narrow, tmp_path)
    whole = path.read_bytes()
    kernel = narrow["layer4.0.conv2.weight"].tobytes()
    start, rng = whole.index(kernel), random.Random(1)
    for _ in range(100):
        damaged = bytearray(whole)
        damaged[start + rng.randrange(len(kernel))] ^= 1 << rng.randrange(8)
        path.write_bytes(damaged)
        with pytest.raises(CheckpointError, match="damaged: the CRC of"):
            open_checkpoint(path)


def test_zeroed_pages_are_found(narrow: Weights, tmp_path: Path) -> None:
    """A crash without fsync leaves 4 KiB of zeros somewhere."""
    path = torch_zip(narrow, tmp_path)
    original, whole = open_checkpoint(path), path.read_bytes()
    for place in range(0, len(whole) - 4096, 16 * 4096):
        path.write_bytes(whole[:place] + bytes(4096) + whole[place + 4096 :])
        result = outcome(path)
        assert result is None or not differs(original, result), place


def test_swapped_weights_of_a_backbone_file_are_found(tiny: Weights, tmp_path: Path) -> None:
    path = converted(tiny, tmp_path)
    backbone = load_backbone(path)
    one, two = "res2.1.conv1.norm.bias", "res2.2.conv1.norm.bias"
    whole = path.read_bytes()
    first, second = (backbone.weights[name].tobytes() for name in (one, two))
    path.write_bytes(
        whole.replace(first, b"#" * len(first)).replace(second, first).replace(b"#" * len(first), second)
    )
    with pytest.raises(CheckpointError):
        load_backbone(path)
