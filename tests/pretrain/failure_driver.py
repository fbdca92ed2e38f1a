"""Runs `python -m pretrain` in several forked gloo processes and makes one of them fail at a random place.

Usage: python -m tests.pretrain.failure_driver DATA FOLDER RUNS PROCESSES SEED. The driver is to a run what
torchrun is: it holds the store through which the processes meet, and waits for them. Unlike torchrun it kills
nobody, so a process that does not end by itself is seen. Prints one JSON line a run: what failed, what was
printed, who ended how.
"""

from __future__ import annotations

import faulthandler
import json
import os
import random
import signal
import sys
import time
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
import torchvision  # noqa: F401  imported before the forks

import pretrain.run  # noqa: F401  imported before the forks
from pretrain.cli import main
from pretrain.errors import PretrainError
from pretrain.images import loader
from pretrain.methods import moco
from pretrain.monitors import knn
from pretrain.training import checkpoint
from pretrain.training.totals import Totals
from tests.pretrain.tiny import register_miniature

LIMIT_S = 60.0
PLACES = ("data", "forward", "memory", "loss", "knn", "saving", "killed")


def failing(place: str, rank: int, victim: int, after: int) -> None:
    """Replaces one function of this process by one that fails at its call number `after`."""
    if place == "knn":
        victim = 0  # only the first process measures and saves
    if place == "saving":
        victim = 0
    if rank != victim:
        return
    module, name = {
        "data": (loader, "draw_views"),
        "forward": (moco, "full_precision"),
        "memory": (moco, "unshuffle"),
        "loss": (Totals, "read"),
        "knn": (knn, "extract"),
        "saving": (checkpoint, "save"),
        "killed": (moco, "unshuffle"),
    }[place]
    function, calls = getattr(module, name), [0]

    def fails(*args: Any, **kwargs: Any) -> Any:
        calls[0] += 1
        if calls[0] < after:
            return function(*args, **kwargs)
        if place == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        if place == "memory":
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has 1 GiB")
        if place == "forward":
            raise IndexError("the cause")
        if place == "loss":
            return {"loss": float("nan")}
        raise PretrainError("the cause")

    setattr(module, name, fails)


def child(rank: int, size: int, port: int, arguments: list[str], log: Path, trouble: tuple) -> int:
    """Forks process `rank`; returns its id."""
    if process := os.fork():
        return process
    descriptor = os.open(log, os.O_CREAT | os.O_APPEND | os.O_WRONLY)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    names = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
    place = (rank, rank, size, size, "127.0.0.1", port)
    os.environ.update({name: str(value) for name, value in zip(names, place, strict=True)})
    os.environ["TORCHELASTIC_USE_AGENT_STORE"] = "True"
    os.environ["TORCHELASTIC_ERROR_FILE"] = str(log.with_suffix(f".{rank}.json"))
    failing(trouble[0], rank, *trouble[1:])
    faulthandler.dump_traceback_later(LIMIT_S - 5)  # where one hangs is seen in the log
    code = 70
    try:
        code = main(arguments)
    finally:
        os._exit(code)


def store_server() -> tuple[int, int]:
    """Forks the process that holds the store; its id and port. Forks must not inherit the store's threads."""
    reading, writing = os.pipe()
    if process := os.fork():
        os.close(writing)
        with os.fdopen(reading) as pipe:
            return process, int(pipe.readline())
    store = dist.TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    os.write(writing, f"{store.port}\n".encode())
    while True:
        time.sleep(60)


def run(data: str, output: Path, size: int, rng: random.Random) -> dict[str, Any]:
    """One run that fails: what it printed, the exit code of each process, the seconds between their ends."""
    place = rng.choice(PLACES)
    victim = rng.randrange(size)
    after = {"data": 20, "knn": 3, "saving": 4}.get(place, 12)
    trouble = (place, victim, rng.randint(1, after))
    options = "--arch resnet_miniature --batch-size 8 --moco-k 32 --image-size 32 -p 1 --precision fp32 -j 1"
    more = f"--bn-groups {size} --max-iters 500 --save-iters 3 --knn-every 1 --device cpu --output {output}"
    server, port = store_server()
    log = output.with_suffix(".out")
    arguments = ["--data", data, *options.split(), *more.split()]
    waiting = {child(r, size, port, arguments, log, trouble): r for r in range(size)}
    codes: dict[int, int] = {}
    deadline, ends = time.monotonic() + LIMIT_S, []
    while waiting and time.monotonic() < deadline:
        for process in list(waiting):
            if status := os.waitpid(process, os.WNOHANG)[1] or not _lives(process):
                codes[waiting.pop(process)] = os.waitstatus_to_exitcode(int(status))
                ends.append(time.monotonic())
        time.sleep(0.02)
    for process, rank in waiting.items():
        os.kill(process, signal.SIGKILL)
        os.waitpid(process, 0)
        codes[rank] = -99
    os.kill(server, signal.SIGKILL)
    os.waitpid(server, 0)
    return {
        "place": place,
        "victim": 0 if place in ("knn", "saving") else victim,
        "codes": [codes[rank] for rank in range(size)],
        "seconds": round(ends[-1] - ends[0], 2) if ends else LIMIT_S,
        "printed": log.read_text(),
        "files": [log.with_suffix(f".{rank}.json").exists() for rank in range(size)],
    }


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


if __name__ == "__main__":
    torch.set_num_threads(1)
    register_miniature()
    numbers = random.Random(int(sys.argv[5]))
    for number in range(int(sys.argv[3])):
        print(json.dumps(run(sys.argv[1], Path(sys.argv[2]) / str(number), int(sys.argv[4]), numbers)))
