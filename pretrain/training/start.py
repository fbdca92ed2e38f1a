"""Starts a run from the weights of a file: what it learnt goes on, under a fresh optimizer and schedule.

The file is a checkpoint of pretrain, or one with the encoders alone, also as safetensors. Unlike `--resume`
nothing else is taken from it: no queue, no optimizer, no place in a schedule.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pretrain.errors import PretrainError
from pretrain.methods.base import Method
from pretrain.methods.choose import METHODS, method_class
from pretrain.methods.joint.frame import JointEmbedding
from pretrain.networks.vit import VitEncoder
from pretrain.networks.vit_sizes import VitKind, heads_of
from pretrain.training import checkpoint
from pretrain.training.checkpoint import PREFIX
from pretrain.training.state import require_equal

HEAD = "fc."


@dataclass(frozen=True)
class Start:
    """The weights that a run starts from, read and not yet put in place."""

    path: Path
    sha256: str  # of the file; identifies the run
    arch: str
    # By their name in the method that made them; the evaluated one first.
    encoders: dict[str, dict[str, Tensor]]
    vit: VitKind | None = None  # of the method that made them


def read_start(path: Path) -> Start:
    """Reads the encoders of a file. Raises PretrainError where none is there that a method evaluates."""
    contents = checkpoint.load(path)
    tensors = {name.removeprefix(PREFIX): value for name, value in contents["state_dict"].items()}
    kinds: list[type[Method[Any]]] = [*map(method_class, METHODS), JointEmbedding]
    row = checkpoint.recorded_row(contents["identity"])
    first = [row.evaluated, row.other_encoder] if row else []  # of DINO the teacher
    known = [name for kind in kinds for name in (kind.encoder_name, kind.key_encoder_name)]
    names = dict.fromkeys([*first, *known])
    encoders = {name: _below(f"{name}.", tensors) for name in names}
    encoders = {name: found for name, found in encoders.items() if found}
    if not encoders or next(iter(encoders)) not in {*first, *(k.encoder_name for k in kinds)}:
        expected = ", ".join(f"{name}.*" for name in dict.fromkeys(kind.encoder_name for kind in kinds))
        raise PretrainError(f"--start-from {path}: holds no encoder; expected tensors named {expected}")
    bad = next((name for name, value in tensors.items() if not torch.isfinite(value).all()), None)
    if bad:
        raise PretrainError(f"--start-from {path}: {bad} holds values that are not finite; take another file")
    sha256, arch = hashlib.sha256(path.read_bytes()).hexdigest(), str(contents.get("arch", "unknown"))
    return Start(path, sha256, arch, encoders, getattr(row, "vit", None))


def put_in_place(start: Start, method: Method[Any]) -> str:
    """Gives the method's encoders the weights of the file; returns what became of them, for the headline.

    The evaluated encoder takes those of the file's, the other one those of its other one, where it has one,
    else the same. The headline says so where the two have each other's names: in DINO the slow copy is
    evaluated, in BYOL it is not. A head that the file lacks, or whose layers are of another shape, stays as
    it was drawn. Raises PretrainError where the trunk does not fit; then nothing is changed.
    """
    children = dict(method.named_children())
    first, *others = start.encoders
    wanted = {
        name: children[name] for name in (method.encoder_name, method.key_encoder_name) if name in children
    }
    sources = {
        name: first if encoder is method.encoder or not others else others[0]
        for name, encoder in wanted.items()
    }
    chosen = {name: start.encoders[source] for name, source in sources.items()}
    for name, encoder in wanted.items():
        if start.vit is not None and isinstance(encoder, VitEncoder):
            _require_heads(start, start.vit, encoder)
        require_equal(
            _trunk(chosen[name]), _trunk(encoder.state_dict()), f"--start-from {start.path}", start.arch
        )
    keep_head = all(
        _shapes(chosen[name]) == _shapes(encoder.state_dict()) for name, encoder in wanted.items()
    )
    for name, encoder in wanted.items():
        encoder.load_state_dict(chosen[name] if keep_head else _trunk(chosen[name]), strict=keep_head)
    swapped = [f", its {a} as {b}" for b, a in sources.items() if a != b and b in start.encoders]
    return _head_told(start.encoders[first], keep_head) + "".join(swapped)


def _require_heads(start: Start, kind: VitKind, encoder: VitEncoder) -> None:
    """Raises PretrainError where attention has other heads: the tensors' shapes do not tell."""
    theirs, ours = heads_of(start.arch, kind), encoder.facts["num_heads"]
    if theirs != ours:
        raise PretrainError(
            f"--start-from {start.path}: its attention has {theirs} heads, that of this method {ours}; "
            "start from a file of a method with as many"
        )


def _head_told(evaluated: dict[str, Tensor], kept: bool) -> str:
    if kept and not any(name.startswith(HEAD) for name in evaluated):
        return "with fresh heads"
    if kept:
        return "its head included"
    return "with a fresh head" + (
        ", for its own is of another shape" if len(_trunk(evaluated)) < len(evaluated) else ""
    )


def _below(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


def _trunk(state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: value for name, value in state.items() if not name.startswith(HEAD)}


def _shapes(state: dict[str, Tensor]) -> dict[str, torch.Size]:
    return {name: value.shape for name, value in state.items()}
