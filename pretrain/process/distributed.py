"""Exchanges between the processes of a run; alone, each is the identity, so callers need no branches."""

from __future__ import annotations

import os
from datetime import timedelta
from typing import Any

import torch
from torch import Tensor
from torch import distributed as dist

from pretrain.errors import PretrainError
from pretrain.process.failure import Alarm

PATIENCE = timedelta(hours=2)  # for process 0's kNN of many images; a failure ends all at once anyway
_alarm: Alarm | None = None


def is_distributed() -> bool:
    return dist.is_available() and dist.is_initialized()


def world_size() -> int:
    return dist.get_world_size() if is_distributed() else 1


def rank() -> int:
    return dist.get_rank() if is_distributed() else 0


def start(device: str, patient: bool = False) -> torch.device:
    """Joins the process group where torchrun started this process, and says which device it uses.

    `patient` processes wait for one another longer than torch's default.
    `device` is "auto", "cpu", "cuda" or "cuda:N". Raises PretrainError where CUDA is asked for and absent.
    """
    wanted = device if device != "auto" else "cuda" if torch.cuda.is_available() else "cpu"
    if wanted.startswith("cuda") and not torch.cuda.is_available():
        raise PretrainError(f"--device {device}: this machine offers no CUDA device; use --device cpu")
    local_rank = int(os.environ.get("LOCAL_RANK", 0))
    several = int(os.environ.get("WORLD_SIZE", 1)) > 1
    if wanted == "cuda" and several:
        if local_rank >= torch.cuda.device_count():
            raise PretrainError(
                f"torchrun started local rank {local_rank}, but this machine has "
                f"{torch.cuda.device_count()} GPUs; lower --nproc-per-node"
            )
        wanted = f"cuda:{local_rank}"
    if wanted == "cuda":
        wanted = f"cuda:{torch.cuda.current_device()}"  # set_device refuses a device without a number
    chosen = torch.device(wanted)
    if chosen.type == "cuda":
        if (chosen.index or 0) >= torch.cuda.device_count():
            raise PretrainError(
                f"--device {device}: this machine has {torch.cuda.device_count()} GPUs, from cuda:0"
            )
        torch.cuda.set_device(chosen)
    if several and not is_distributed():
        _join("nccl" if chosen.type == "cuda" else "gloo", PATIENCE if patient else None)
    return chosen


def _join(backend: str, timeout: timedelta | None) -> None:
    """Joins the group of torchrun's environment through a store of our own making, which the alarm shares."""
    global _alarm
    store, place, size = next(dist.rendezvous("env://"))
    group = dist.PrefixStore("group", store)
    dist.init_process_group(backend, store=group, rank=place, world_size=size, timeout=timeout)
    _alarm = Alarm(dist.PrefixStore("alarm", store))


def start_alone(device: str, command: str) -> torch.device:
    """Gives the device to a command that runs in one process. Raises PretrainError under torchrun."""
    if int(os.environ.get("WORLD_SIZE", 1)) > 1:
        raise PretrainError(f"{command} runs in one process; start it without torchrun")
    return start(device)


def stop() -> None:
    """Leaves the process group; only when all went well (see `failed`)."""
    global _alarm
    if _alarm is not None:
        _alarm.off()
        _alarm = None
    if is_distributed():
        dist.destroy_process_group()


def failed(error: BaseException) -> None:
    """Tells the error and ends this process, where it is one of several; alone it just returns."""
    if _alarm is not None:
        _alarm.fail(error)


def my_slice(global_batch: int) -> slice:
    """This process's rows of a global batch: rank r holds the r-th of `world_size` equal parts."""
    size = global_batch // world_size()
    return slice(rank() * size, (rank() + 1) * size)


@torch.no_grad()
def gather(x: Tensor) -> Tensor:
    """Rows of all processes in rank order: nx... to Nx...; carries no gradient."""
    if world_size() == 1:
        return x
    parts = [torch.empty_like(x) for _ in range(world_size())]
    dist.all_gather(parts, x.contiguous())
    return torch.cat(parts)


def gather_with_gradient(x: Tensor) -> Tensor:
    """Like `gather`; gradients flow back to the process that each row came from."""
    return x if world_size() == 1 else _Gather.apply(x)


def any_process(flag: int, device: torch.device) -> int:
    """The largest `flag` of all processes; synchronises them."""
    if world_size() == 1:
        return flag
    value = torch.tensor(flag, device=device)
    dist.all_reduce(value, op=dist.ReduceOp.MAX)
    return int(value)


def mean_over_processes(x: Tensor) -> Tensor:
    if world_size() > 1:
        dist.all_reduce(x)
        x /= world_size()
    return x


def sum_with_gradient(x: Tensor) -> Tensor:
    """The sum over the processes; each gets the sum of all their gradients back."""
    return x if world_size() == 1 else _Sum.apply(x)


@torch.no_grad()
def sum_in_place(x: Tensor) -> Tensor:
    """The sum over the processes, written into x, of which autograd learns nothing."""
    if world_size() > 1:
        dist.all_reduce(x)
    return x


class _Gather(torch.autograd.Function):
    """Gathers rows; each process gets the sum of all gradients of its own rows back."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return gather(x)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        return _summed(grad)[my_slice(len(grad))]


class _Sum(torch.autograd.Function):
    """Sums over the processes, forwards and backwards."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return _summed(x)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        return _summed(grad)


def _summed(x: Tensor) -> Tensor:
    return sum_in_place(x.clone(memory_format=torch.contiguous_format))
