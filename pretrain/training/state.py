"""Packs the state of a run into a checkpoint and puts it back, under the names of the published code."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from pretrain.errors import PretrainError, warn
from pretrain.methods.joint.layout import Layout
from pretrain.training import checkpoint
from pretrain.training.checkpoint import PREFIX
from pretrain.training.identity import require_same_run
from pretrain.training.totals import Totals


@dataclass
class RunState:
    """All that a run is made of between two iterations, and what identifies it."""

    model: nn.Module
    optimizer: torch.optim.Optimizer
    scaler: torch.amp.GradScaler
    totals: Totals
    arch: str
    identity: dict[str, Any]
    per_epoch: int  # iterations
    layout: Layout | None = None  # where a file has the tensors, if not in `state_dict` by our own names

    def pack(self, iteration: int) -> dict[str, Any]:
        """Makes the checkpoint after `iteration` iterations. `epoch`: finished epochs, as published."""
        tensors = {name: _plain(value) for name, value in self.model.state_dict().items()}
        if self.layout:
            entries = self.layout.written(tensors)
        else:
            entries = {"state_dict": {PREFIX + name: value for name, value in tensors.items()}}
        return {
            "epoch": iteration // self.per_epoch,
            "arch": self.arch,
            **entries,
            "optimizer": _map_tensors(self.optimizer.state_dict(), _plain),
            "iteration": iteration,
            "identity": self.identity,
            "totals": _map_tensors(self.totals.values, _plain),
            "scaler": self.scaler.state_dict(),
        }

    def resume(self, directory: Path, wanted: Path | None = None) -> int:
        """Goes on from the newest good checkpoint in `directory`, else from the file `wanted`, else afresh.

        Returns the iterations done. Raises PretrainError where the checkpoint is of another run or model.
        """
        if found := checkpoint.newest(directory, warn):
            return self.unpack(found[1], str(found[0]))
        return self.unpack(checkpoint.load(wanted), str(wanted)) if wanted else 0

    def unpack(self, contents: dict[str, Any], source: str) -> int:
        """Puts a checkpoint back, as `checkpoint.load` read it; returns the iterations done by then.

        Weights, queue and optimizer state must fit exactly, else PretrainError is raised and none is changed.
        """
        require_same_run(contents["identity"], self.identity, source)
        stored = {name.removeprefix(PREFIX): value for name, value in contents["state_dict"].items()}
        require_equal(stored, self.model.state_dict(), source, str(contents.get("arch", "unknown")))
        if "optimizer" not in contents:
            raise PretrainError(f"{source}: holds no optimizer state, so training cannot go on from it")
        with fitting(source, "optimizer state"):
            self.optimizer.load_state_dict(contents["optimizer"])
        self.model.load_state_dict(stored)
        _lay_out_as_weights(self.optimizer)
        with fitting(source, "running means or loss scale"):
            self.scaler.load_state_dict(contents["scaler"] or self.scaler.state_dict())
            self.totals.load(contents["totals"])
        # The official code's files count epochs only.
        return int(contents.get("iteration", contents.get("epoch", 0) * self.per_epoch))


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


def _lay_out_as_weights(optimizer: torch.optim.Optimizer) -> None:
    """Gives momentum the memory layout of its weight, for one fused update."""
    for parameter, values in optimizer.state.items():
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


def require_equal(stored: dict[str, Tensor], wanted: dict[str, Tensor], source: str, arch: str) -> None:
    """Raises PretrainError, with `source` and `arch`, where names or shapes of the tensors differ."""
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
