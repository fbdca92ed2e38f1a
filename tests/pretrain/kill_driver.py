"""Runs `python -m pretrain` many times in forks of one process, which cost no import, and ends it by signals.

Usage: python -m tests.pretrain.kill_driver DATA FOLDER KILLS SEED. Prints one JSON line: how many killed and
resumed runs ended bit for bit like the uninterrupted one, and how the signals that ask for a checkpoint were
answered by a run.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torchvision  # noqa: F401  imported before the forks

import pretrain.run  # noqa: F401
from pretrain.cli import main
from tests.pretrain.helpers import overriding
from tests.pretrain.tiny import register_miniature

ITERATIONS = 36


def forked(command: Callable[[list[str]], int], arguments: list[str], log: Path) -> int:
    """Forks a process that runs `command` and writes to `log`; returns its process id."""
    child = os.fork()
    if child:
        return child
    descriptor = os.open(log, os.O_CREAT | os.O_APPEND | os.O_WRONLY)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    code = 70
    try:
        code = command(arguments)
    finally:
        os._exit(code)


def start(data: str, output: Path, *more: str) -> int:
    """Forks a training run; returns its process id."""
    options = "--arch resnet_miniature --moco-dim 16 --batch-size 8 --moco-k 32 --image-size 32"
    length = f"--precision fp32 --max-iters {ITERATIONS} -p 5 --save-iters 2 --knn-every 3 --mlp --cos"
    fixed = ["--data", data, "--output", str(output), *options.split(), *length.split()]
    arguments = overriding(fixed, list(more))
    return forked(main, arguments, output.with_suffix(".out"))


def wait(child: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def outcome(output: Path) -> tuple[dict[str, Any], list[dict[str, float]]]:
    """Everything that must be equal: the checkpoint, and the logged values without their times."""
    checkpoint = torch.load(output / "checkpoint_last.pth.tar", weights_only=True)
    lines = [json.loads(line) for line in (output / "log.jsonl").read_text().splitlines()]
    return checkpoint, [{k: v for k, v in line.items() if k != "images_per_s"} for line in lines]


def equal(a: Any, b: Any) -> bool:
    if isinstance(a, torch.Tensor):
        return torch.equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(equal(a[key], b[key]) for key in a)
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(equal, a, b))
    return a == b


def kill_and_resume(data: str, output: Path, rng: random.Random, duration: float) -> int:
    """Starts a run with changing worker counts, kills it until it gets through; returns the kills."""
    kills = 0
    while True:
        child = start(data, output, "-j", str(rng.randint(1, 3)))
        time.sleep(rng.uniform(0, duration))
        if kills < 3:
            os.kill(child, signal.SIGKILL)
        code = wait(child)
        if code == 0:
            return kills
        if code != -signal.SIGKILL:
            raise SystemExit(f"run ended with {code}:\n{output.with_suffix('.out').read_text()}")
        kills += 1


def answer(data: str, output: Path, number: int) -> dict[str, Any]:
    """Answers a signal in mid-run: exit code, and the iteration saved by then."""
    child = start(data, output, "--max-iters", "100000", "--save-iters", "100000", "-j", "1")
    log = output / "log.jsonl"
    while not log.exists() or log.read_text().count("\n") < 4:
        time.sleep(0.02)
    os.kill(child, number)
    while number == signal.SIGUSR1 and not (output / "checkpoint_last.pth.tar").exists():
        time.sleep(0.02)
    if number == signal.SIGUSR1:
        os.kill(child, signal.SIGKILL)
    code = wait(child)
    saved = torch.load(output / "checkpoint_last.pth.tar", weights_only=True)["iteration"]
    return {"code": code, "iteration": saved}


def drive(data: str, folder: Path, trials: int, seed: int) -> dict[str, Any]:
    torch.set_num_threads(1)
    register_miniature()
    rng = random.Random(seed)
    begin = time.monotonic()
    if wait(start(data, folder / "reference")):
        raise SystemExit((folder / "reference.out").read_text())
    duration = time.monotonic() - begin
    reference = outcome(folder / "reference")
    kills, same = 0, 0
    for trial in range(trials):
        killed, attempt = 0, 0
        while not killed:  # a run that was through before its moment came is no trial
            output = folder / f"killed{trial}_{attempt}"
            killed, attempt = kill_and_resume(data, output, rng, duration * 0.7**attempt), attempt + 1
        kills += killed
        same += equal(outcome(output), reference)
    signals = {
        name: answer(data, folder / name, getattr(signal, name))
        for name in ("SIGTERM", "SIGINT", "SIGHUP", "SIGUSR1")
    }
    return {"trials": trials, "same": same, "kills": kills, "duration": duration, "signals": signals}


if __name__ == "__main__":
    print(json.dumps(drive(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))))
