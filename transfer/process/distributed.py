"""Starts a function in one process or several, and gives each of them its world: its place and device.

The processes are spawned here, or torchrun has started them already.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import torch
import torch.distributed as dist
import torch.multiprocessing as mp

from transfer.errors import Interrupted, TransferError
from transfer.process.causes import cause, is_echo, tell
from transfer.process.signals import forwarded

START_METHOD = "spawn"  # a fork would share what CUDA and threads hold
GRACE_S = 3.0  # between the end of one process by an error and the end of those that still wait for it
PATIENCE_S = 2.0  # in which the cause may come from another machine, behind its echo


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


def device_name(device: torch.device) -> str:
    """`cpu`, or the GPU's name as its driver tells it."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def launch(
    function: Callable[..., Any],
    num_processes: int,
    device: torch.device,
    *arguments: Any,
    errors: Path | None = None,
) -> Any:
    """Runs `function(world, *arguments)` in `num_processes` processes; returns rank 0's JSON value.

    With one process nothing is spawned and no process group exists. A process that torchrun started (see
    `member`) runs the function itself and returns its own value. Raises the error that came first in any
    process, never the lost connections of the others; Interrupted where a signal ended one without a word.
    Processes of torchrun tell their errors in the folder `errors`, which all of them share. Each of them must
    end by `leave`.
    """
    place = member()
    if place is not None and num_processes > 1:
        return _as_member(place, function, device, arguments, errors)
    if num_processes == 1:
        return function(World(0, 1, device), *arguments)
    with tempfile.TemporaryDirectory() as directory:
        context = mp.start_processes(
            _spawned,
            (num_processes, device, Path(directory), function, arguments),
            num_processes,
            join=False,
            start_method=START_METHOD,
        )
        assert context is not None

        def pass_on(number: int) -> None:
            for pid in context.pids():
                with suppress(ProcessLookupError):
                    os.kill(pid, number)

        with forwarded(pass_on) as received:
            try:
                while not context.join(grace_period=GRACE_S):
                    pass
            except (mp.ProcessRaisedException, mp.ProcessExitedException):
                codes = [process.exitcode or 0 for process in context.processes]
                told = Path(directory) / "errors"
                raise (cause(told) or _untold(received, codes, told)) from None
        return json.loads((Path(directory) / "answer.json").read_text(encoding="utf-8"))


@dataclass(frozen=True)
class Member:
    """A process's place among those that belong together, and the URL where they meet."""

    rank: int
    local_rank: int  # on its machine
    size: int
    local_size: int
    meeting: str


def member() -> Member | None:
    """This process's place by the environment variables of torchrun; None in a process of its own."""
    names = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
    if not all(name in os.environ for name in names) or os.environ["WORLD_SIZE"] == "1":
        return None
    *numbers, address, port = (os.environ[name] for name in names)
    rank, local_rank, size, local_size = map(int, numbers)
    return Member(rank, local_rank, size, local_size, f"tcp://{address}:{port}")


def _as_member(
    place: Member,
    function: Callable[..., Any],
    device: torch.device,
    arguments: tuple[Any, ...],
    errors: Path | None,
) -> Any:
    try:
        with _group(place, device) as world:
            return function(world, *arguments)
    except KeyboardInterrupt:
        raise Interrupted("signal SIGINT outside of training") from None
    except Exception as error:
        if errors is None:
            raise
        tell(error, errors, place.rank)
        if not is_echo(error):
            raise
        said = str(error).strip().splitlines()[-1:]
        lost = Interrupted(f"another process was killed (out of memory?), stopped or cut off {said}")
        raise (cause(errors, PATIENCE_S) or lost) from None


def leave(code: int) -> NoReturn:
    """Ends this process with `code`, at once where an error left its process group open.

    To leave a group in order all processes must do it together, so one that failed would wait for the others.
    Its data workers hold copies of its connections, so they end first.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    if dist.is_available() and dist.is_initialized():
        for worker in multiprocessing.active_children():
            worker.kill()
        os._exit(code)
    sys.exit(code)


@contextmanager
def _group(place: Member, device: torch.device) -> Iterator[World]:
    """Gives this process its world inside its process group, which it leaves only when all went well."""
    if device.type == "cuda":
        device = torch.device("cuda", place.local_rank)
        torch.cuda.set_device(device)
    else:
        torch.set_num_threads(max(1, (os.cpu_count() or 1) // place.local_size))
    backend = "nccl" if device.type == "cuda" else "gloo"
    dist.init_process_group(backend, init_method=place.meeting, rank=place.rank, world_size=place.size)
    yield World(place.rank, place.size, device)
    dist.destroy_process_group()


def _spawned(
    rank: int,
    size: int,
    device: torch.device,
    directory: Path,
    function: Callable[..., Any],
    arguments: tuple[Any, ...],
) -> None:
    place = Member(rank, rank, size, size, f"file://{directory / 'meeting'}")
    try:
        with _group(place, device) as world:
            result = function(world, *arguments)
            if rank == 0:
                (directory / "answer.json").write_text(json.dumps(result), encoding="utf-8")
    except KeyboardInterrupt:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # a second one must not end this process with 0
        tell(Interrupted("signal SIGINT outside of training"), directory / "errors", rank)
        leave(1)
    except Exception as error:
        tell(error, directory / "errors", rank)
        leave(1)


def _untold(received: Sequence[int], codes: Sequence[int], told: Path) -> Exception:
    """The error of processes that ended with these exit codes and told nothing but lost connections."""
    if received:
        return Interrupted(f"signal {signal.Signals(received[0]).name} outside of training")
    # SIGTERM is what the launcher sends to those that the first one left behind.
    killed = sorted({signal.Signals(-code) for code in codes if code < 0 and code != -signal.SIGTERM})
    if signal.SIGKILL in killed:
        return Interrupted("a process of the run was killed (out of memory?)")
    by = f"a process of the run was killed by {killed[0].name}" if killed else "the processes lost each other"
    return cause(told, echoes=True) or RuntimeError(f"{by}; see the lines above")
