"""One process or several: the world that a run lives in, and how several processes are started."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
import torch.multiprocessing as mp

from transfer.errors import TransferError


@dataclass(frozen=True)
class World:
    """This process's place and device."""

    rank: int
    size: int
    device: torch.device

    @property
    def main(self) -> bool:
        return self.rank == 0


def pick_device(wanted: str | None, num_processes: int) -> torch.device:
    """The device asked for, else CUDA where there is one; TransferError for more than there are."""
    try:
        device = torch.device(wanted or ("cuda" if torch.cuda.is_available() else "cpu"))
    except RuntimeError:
        raise TransferError(f"--device {wanted}: unknown device; expected cpu or cuda") from None
    if device.type == "cuda" and torch.cuda.device_count() < max(num_processes, (device.index or 0) + 1):
        raise TransferError(
            f"--num-gpus {num_processes} --device {device}: this machine has "
            f"{torch.cuda.device_count()} CUDA devices; ask for fewer, or take --device cpu"
        )
    if device.type not in ("cpu", "cuda"):
        raise TransferError(f"--device {wanted}: not supported; expected cpu or cuda")
    return device


def launch(function: Callable[..., Any], num_processes: int, device: torch.device, *arguments: Any) -> Any:
    """`function(world, *arguments)` in `num_processes` processes; returns what rank 0 returned, a JSON value.

    With one process nothing is spawned and no process group exists.
    """
    if num_processes == 1:
        return function(World(0, 1, device), *arguments)
    with tempfile.TemporaryDirectory() as directory:
        meeting, answer = Path(directory) / "meeting", Path(directory) / "answer.json"
        mp.start_processes(
            _spawned,
            (num_processes, device, meeting, answer, function, arguments),
            num_processes,
            start_method="spawn",
        )
        return json.loads(answer.read_text(encoding="utf-8"))


def _spawned(
    rank: int,
    size: int,
    device: torch.device,
    meeting: Path,
    answer: Path,
    function: Callable[..., Any],
    arguments: tuple[Any, ...],
) -> None:
    if device.type == "cuda":
        device = torch.device("cuda", rank)
        torch.cuda.set_device(device)
    else:
        torch.set_num_threads(max(1, (os.cpu_count() or 1) // size))
    backend = "nccl" if device.type == "cuda" else "gloo"
    dist.init_process_group(backend, init_method=f"file://{meeting}", rank=rank, world_size=size)
    try:
        result = function(World(rank, size, device), *arguments)
        if rank == 0:
            answer.write_text(json.dumps(result), encoding="utf-8")
    finally:
        dist.destroy_process_group()
