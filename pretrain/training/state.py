"""What a checkpoint holds, and putting it back: model and optimizer under their published names, plus what
resume needs.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from pretrain.errors import PretrainError

_PREFIX = "module."  # the published code saves a DistributedDataParallel module


def pack(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    *,
    arch: str,
    iteration: int,
    per_epoch: int,
    identity: dict[str, Any],
    totals: dict[str, Tensor],
    scaler: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """The checkpoint after `iteration` iterations. `epoch`: finished epochs, as published."""
    return {
        "epoch": iteration // per_epoch,
        "arch": arch,
        "state_dict": {_PREFIX + name: _plain(value) for name, value in model.state_dict().items()},
        "optimizer": _map_tensors(optimizer.state_dict(), _plain),
        "iteration": iteration,
        "identity": identity,
        "totals": _map_tensors(totals, _plain),
        "scaler": scaler or {},
    }


def _plain(value: Tensor) -> Tensor:
    """On the CPU, contiguous, and of its own storage: nothing of this machine's layout reaches the file."""
    return value.detach().to("cpu", copy=True, memory_format=torch.contiguous_format)


def _map_tensors(value: Any, function: Any) -> Any:
    if isinstance(value, Tensor):
        return function(value)
    if isinstance(value, dict):
        return {key: _map_tensors(item, function) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_map_tensors(item, function) for item in value]
    return value


def iteration_of(contents: dict[str, Any], per_epoch: int) -> int:
    """Finished iterations; the official code's files count epochs only."""
    return int(contents.get("iteration", contents.get("epoch", 0) * per_epoch))


def unpack(contents: dict[str, Any], model: nn.Module, optimizer: torch.optim.Optimizer, source: str) -> None:
    """Puts weights, queue and optimizer state back; all must fit exactly, else PretrainError and nothing is
    changed.
    """
    stored = {name.removeprefix(_PREFIX): value for name, value in contents["state_dict"].items()}
    _require_equal(stored, model.state_dict(), source, str(contents.get("arch", "unknown")))
    if "optimizer" not in contents:
        raise PretrainError(f"{source}: holds no optimizer state, so training cannot go on from it")
    with fitting(source, "optimizer state"):
        optimizer.load_state_dict(contents["optimizer"])
    model.load_state_dict(stored)
    for (
        parameter,
        values,
    ) in optimizer.state.items():  # momentum in the layout of its weight: one fused update
        for name, value in values.items():
            if isinstance(value, Tensor) and value.shape == parameter.shape:
                values[name] = torch.empty_like(parameter).copy_(value)


@contextmanager
def fitting(source: str, what: str) -> Iterator[None]:
    """Raises PretrainError where part of a file cannot be put in its place, whatever a foreign one holds."""
    try:
        yield
    except Exception as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise PretrainError(f"{source}: its {what} does not fit this run ({reason})") from None


def _require_equal(stored: dict[str, Tensor], wanted: dict[str, Tensor], source: str, arch: str) -> None:
    missing = [name for name in wanted if name not in stored]
    extra = [name for name in stored if name not in wanted]
    shapes = [name for name in wanted if name in stored and stored[name].shape != wanted[name].shape]
    if not (missing or extra or shapes):
        return
    details = [f"{len(missing)} tensors missing ({missing[0]}, ...)"] if missing else []
    details += [f"{len(extra)} too many ({extra[0]}, ...)"] if extra else []
    if shapes:
        name = shapes[0]
        details.append(f"{name} is {tuple(stored[name].shape)}, expected {tuple(wanted[name].shape)}")
    raise PretrainError(
        f"{source}: checkpoint of another model (its arch: {arch}): {'; '.join(details)}; "
        "give the options of the run that made it"
    )


def require_same_run(stored: dict[str, Any], wanted: dict[str, Any], source: str) -> None:
    """Every option that moves the numbers must be the stored one; a file without a record of them is
    accepted.
    """
    if stored:  # the one entry that is written only where it is True
        stored, wanted = ({"deterministic": False, **options} for options in (stored, wanted))
    for name, value in wanted.items():
        if name in stored and stored[name] != value:
            raise PretrainError(
                f"{source} was made with {name} = {stored[name]}, now {value}; "
                "give the same options or another --output"
            )
