"""One process or several: the world that a run lives in, and how several processes are started."""

from __future__ import annotations

import json
import os
import signal
import tempfile
import threading
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
import torch.multiprocessing as mp

from transfer.errors import DataError, DiskError, Interrupted, TransferError


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

    With one process nothing is spawned and no process group exists. A process that torchrun started (see
    `member`) runs the function itself and returns its own value. What one process raised is raised here.
    """
    place = member()
    if place is not None and num_processes > 1:
        return _as_member(place, function, device, arguments)
    if num_processes == 1:
        return function(World(0, 1, device), *arguments)
    with tempfile.TemporaryDirectory() as directory:
        context = mp.start_processes(
            _spawned,
            (num_processes, device, Path(directory), function, arguments),
            num_processes,
            join=False,
            start_method="spawn",
        )
        assert context is not None
        with _signals_go_to(context.pids()):
            try:
                while not context.join():
                    pass
            except (mp.ProcessRaisedException, mp.ProcessExitedException):
                raise _first_error(Path(directory)) from None
        return json.loads((Path(directory) / "answer.json").read_text(encoding="utf-8"))


@dataclass(frozen=True)
class Member:
    """This process's place among those that torchrun, or our team of cells, started."""

    rank: int
    local_rank: int
    size: int
    local_size: int
    address: str
    port: int


def member() -> Member | None:
    """From torchrun's environment variables; None in a process of its own."""
    names = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
    if not all(name in os.environ for name in names) or os.environ["WORLD_SIZE"] == "1":
        return None
    rank, local_rank, size, local_size, address, port = (os.environ[name] for name in names)
    return Member(int(rank), int(local_rank), int(size), int(local_size), address, int(port))


def _as_member(
    place: Member, function: Callable[..., Any], device: torch.device, arguments: tuple[Any, ...]
) -> Any:
    method = f"tcp://{place.address}:{place.port}"
    with _group(place.rank, place.local_rank, place.size, place.local_size, device, method) as world:
        return function(world, *arguments)


@contextmanager
def _group(
    rank: int, local_rank: int, size: int, local_size: int, device: torch.device, method: str
) -> Iterator[World]:
    """This process's world, inside of its process group."""
    if device.type == "cuda":
        device = torch.device("cuda", local_rank)
        torch.cuda.set_device(device)
    else:
        torch.set_num_threads(max(1, (os.cpu_count() or 1) // local_size))
    backend = "nccl" if device.type == "cuda" else "gloo"
    dist.init_process_group(backend, init_method=method, rank=rank, world_size=size)
    try:
        yield World(rank, size, device)
    finally:
        dist.destroy_process_group()


def _spawned(
    rank: int,
    size: int,
    device: torch.device,
    directory: Path,
    function: Callable[..., Any],
    arguments: tuple[Any, ...],
) -> None:
    try:
        with _group(rank, rank, size, size, device, f"file://{directory / 'meeting'}") as world:
            result = function(world, *arguments)
            if rank == 0:
                (directory / "answer.json").write_text(json.dumps(result), encoding="utf-8")
    except Exception as error:
        told = {"type": type(error).__name__, "text": str(error), "trace": traceback.format_exc()}
        with suppress(FileExistsError), (directory / "error.json").open("x", encoding="utf-8") as file:
            json.dump(told, file)  # the first is the cause; the others have lost their neighbour
        raise


# What a process raises on purpose: the launcher raises the like. All else is a RuntimeError with its trace.
_RAISED: dict[str, type[Exception]] = {
    kind.__name__: kind for kind in (TransferError, DataError, DiskError, FloatingPointError, Interrupted)
}


def _first_error(directory: Path) -> Exception:
    try:
        told = json.loads((directory / "error.json").read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return RuntimeError("a process of the run was killed (out of memory?); see the lines above")
    if told["type"] in _RAISED:
        return _RAISED[told["type"]](told["text"])
    return RuntimeError(f"{told['trace']}{told['type']}: {told['text']}")


@contextmanager
def _signals_go_to(pids: Sequence[int]) -> Iterator[None]:
    """A stop signal to us is one to the processes, which save and leave together; only in the main thread."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def forward(number: int, _: Any) -> None:
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)
    previous = {number: signal.signal(number, forward) for number in numbers}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
