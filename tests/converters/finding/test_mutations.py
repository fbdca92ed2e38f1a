"""Every backbone tensor dropped, renamed, doubled, transposed, reshaped or poisoned: none is accepted."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from converters.convert import open_checkpoint
from converters.errors import CheckpointError
from tests.converters.checkpoint_nets import Weights, template, tensors, to_detectron2
from tests.converters.foreign_names import prefixed
from tests.converters.safetensors_bytes import write

PREFIX = "encoder_q."
TENSORS = [name for name in template() if not name.endswith("num_batches_tracked")]
Mutation = Callable[[Weights, str], str]  # changes the file's arrays, returns what the message must say


def drop(arrays: Weights, name: str) -> str:
    del arrays[name]
    return "1 missing"


def rename(arrays: Weights, name: str) -> str:
    arrays[name + "_"] = arrays.pop(name)
    return "1 missing"


def double(arrays: Weights, name: str) -> str:
    arrays[f"module.{name}"] = arrays[name] + 1
    return "1 twice"


def transpose(arrays: Weights, name: str) -> str:
    """Of a vector, a row; of a square 1x1 kernel only the values move, so the axes are moved to the front."""
    array = arrays[name]
    arrays[name] = np.ascontiguousarray(array.T if array.ndim == 4 else array[None])
    return "wrong shape"


def reshape(arrays: Weights, name: str) -> str:
    array = arrays[name]
    arrays[name] = array.reshape(-1)[:-1] if array.ndim == 1 else array.reshape(array.shape[0], -1)
    return "wrong shape"


def poison(arrays: Weights, name: str) -> str:
    array = arrays[name] = arrays[name].copy()
    array.reshape(-1)[array.size // 2] = (np.nan, np.inf, -np.inf)[len(name) % 3]
    return "NaN or infinite"


MUTATIONS: tuple[Mutation, ...] = (drop, rename, double, transpose, reshape, poison)


@pytest.mark.parametrize("mutate", MUTATIONS, ids=lambda mutation: mutation.__name__)
@pytest.mark.parametrize("part", range(2))
def test_no_mutation_is_accepted(mutate: Mutation, part: int, tiny: Weights, tmp_path: Path) -> None:
    accepted, vague = [], []
    for name in TENSORS[part::2]:
        arrays = prefixed(tiny, PREFIX) | prefixed(tiny, "encoder_k.")
        expected = mutate(arrays, PREFIX + name)
        # The other encoder stays whole: a converter that falls back on it would be caught here.
        path = write(tmp_path / "mutated.safetensors", arrays)
        try:
            backbone = open_checkpoint(path)
        except CheckpointError as error:
            # A kernel with equal axes keeps its shape when transposed; then the values must be the file's.
            if expected not in str(error) and "encoder" not in str(error):
                vague.append(f"{name}: {error}")
            continue
        kept = np.array_equal(backbone.weights[to_detectron2(name)], arrays[PREFIX + name])
        if not (mutate is transpose and kept):
            accepted.append(name)
    assert not accepted
    assert not vague


@pytest.mark.parametrize("mutate", MUTATIONS, ids=lambda mutation: mutation.__name__)
def test_no_mutation_of_the_only_network_is_accepted(mutate: Mutation, tiny: Weights, tmp_path: Path) -> None:
    """As above in torch's own container and without a second encoder, for every seventh tensor."""
    for name in TENSORS[::7]:
        arrays = prefixed(tiny, PREFIX)
        expected = mutate(arrays, PREFIX + name)
        torch.save({"state_dict": tensors(arrays)}, tmp_path / "mutated.pth")
        with pytest.raises(CheckpointError, match=expected):
            open_checkpoint(tmp_path / "mutated.pth")


def test_permuted_axes_are_told_apart_by_shape(tiny: Weights, tmp_path: Path) -> None:
    """TensorFlow's kernel order under PyTorch's names, is a wrong shape and no guess."""
    arrays = {n: np.ascontiguousarray(a.transpose(2, 3, 1, 0)) if a.ndim == 4 else a for n, a in tiny.items()}
    with pytest.raises(CheckpointError, match="wrong shape"):
        open_checkpoint(write(tmp_path / "m.safetensors", arrays))


WHOLE_FILES: dict[str, tuple[Callable[[Weights], Weights], str]] = {
    "empty": (lambda w: {}, "no tensors"),
    "one tensor": (lambda w: {"conv1.weight": w["conv1.weight"]}, "missing"),
    "head only": (
        lambda w: {"fc.weight": np.ones((9, 9), "f4"), "fc.bias": np.ones(9, "f4")},
        "no convolutions",
    ),
    "key encoder only": (lambda w: prefixed(w, "encoder_k."), "online encoder .* is missing"),
    "student without teacher": (lambda w: prefixed(w, "student."), "unknown"),
    "two networks": (
        lambda w: prefixed(w, "left.") | prefixed(shifted(w), "right."),
        "several complete networks",
    ),
    "stem without the rest": (lambda w: {n: a for n, a in w.items() if not n.startswith("layer")}, "missing"),
    "one stage missing": (lambda w: {n: a for n, a in w.items() if not n.startswith("layer4")}, "missing"),
    "prefix glued to the name": (lambda w: prefixed(w, "encoder_q_"), "no"),
    "stage names shifted": (lambda w: {n.replace("layer", "block"): a for n, a in w.items()}, "missing"),
    "half of it wrapped": (
        lambda w: {(f"net.{n}" if n < "layer3" else n): a for n, a in w.items()},
        "missing",
    ),
    "integers": (lambda w: {n: a.astype("i8") for n, a in w.items()}, "floating point"),
    "double counters": (lambda w: w | {"module.bn1.num_batches_tracked": np.array(5)}, "twice"),
    "SE layers inside": (
        lambda w: w | {"layer1.0.se.fc.weight": np.ones((2, 2), "f4")},
        "squeeze and excitation",
    ),
    "unknown layers inside": (lambda w: w | {"layer3.1.extra.weight": np.ones(3, "f4")}, "1 unexpected"),
    "biased convolution": (lambda w: w | {"layer1.0.conv1.bias": np.ones(8, "f4")}, "1 unexpected"),
    "block too many": (
        lambda w: w | {n.replace("layer1.2", "layer1.3"): a for n, a in w.items() if "layer1.2" in n},
        "18 unexpected",
    ),
}


def shifted(weights: Weights) -> Weights:
    return {name: array + 1 for name, array in weights.items()}


@pytest.mark.parametrize("kind", WHOLE_FILES)
def test_wrong_files_are_refused(kind: str, tiny: Weights, tmp_path: Path) -> None:
    change, message = WHOLE_FILES[kind]
    path = write(tmp_path / "wrong.safetensors", change(tiny))
    if kind == "student without teacher":  # an unknown layout with one complete network is no error
        assert open_checkpoint(path).manifest["source"] == message
        return
    with pytest.raises(CheckpointError, match=message):
        open_checkpoint(path)


@pytest.mark.parametrize(
    "wrong", ["module.encoder_k.", "teacher.", "momentum_encoder.", "encoder_t.", "x.ema_model."]
)
def test_moving_average_alone_is_never_taken_unasked(wrong: str, tiny: Weights, tmp_path: Path) -> None:
    path = write(tmp_path / "ema.safetensors", prefixed(tiny, wrong))
    with pytest.raises(CheckpointError, match="is missing"):
        open_checkpoint(path)
    assert open_checkpoint(path, encoder="ema").manifest["encoder"] == "ema"
