"""Kills runs of every method at random moments, by SIGKILL or SIGTERM, and starts them again.

Usage: python -m tests.pretrain.methods.kills DATA FOLDER KILLS SEED. Prints one JSON line: of each method how
often it was killed and by what, and how many of its runs ended to the bit like the one that was left alone.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path

import torch
import torchvision  # noqa: F401  imported before the forks

import pretrain.run  # noqa: F401
from pretrain.cli import main
from pretrain.methods.choose import METHODS, PRESETS
from tests.pretrain.kill_driver import equal, forked, outcome, wait
from tests.pretrain.methods.joint.cases import TINY
from tests.pretrain.methods.joint.runs import GENERAL, command
from tests.pretrain.methods.vits import runs as vits
from tests.pretrain.methods.vits.cases import register_mini
from tests.pretrain.tiny import register_miniature

LENGTH = ["--max-iters", "12", "--save-iters", "3"]
VIT = "vit_"  # before the names of methods on vision transformers
MOST = 3  # kills of one run
# How a killed process ends: SIGTERM is answered with a checkpoint, and kills one that has hardly begun.
ENDS = {-signal.SIGKILL: "SIGKILL", 128 + signal.SIGTERM: "SIGTERM", -signal.SIGTERM: "SIGTERM, early"}


@dataclass
class Tally:
    """Counts what became of the runs of one method."""

    runs: int = 0
    same: int = 0
    kills: Counter[str] = field(default_factory=Counter)


def names() -> list[str]:
    """All methods, those of one class by other options included."""
    return [*TINY, *METHODS, *PRESETS, *(VIT + name for name in vits.NAMES)]


def words(name: str, data: Path, output: Path) -> list[str]:
    if name.startswith(VIT):
        more = {"max_iters": 12, "save_iters": 3}
        return vits.words(name.removeprefix(VIT), data, output, **more)
    if name in TINY:
        return command(name, data, output, *LENGTH)
    small = ["--moco-k", "32", "--moco-dim", "16", "--method", name]
    return ["--data", str(data), "--output", str(output), *GENERAL.split(), *small, *LENGTH]


def killed(arguments: list[str], output: Path, rng: random.Random, seconds: float) -> list[str]:
    """Runs to the end, killed at up to MOST random moments of about `seconds`; returns how it was."""
    log, kills = output.with_suffix(".out"), []
    while True:
        child = forked(main, arguments, log)
        if len(kills) < MOST:
            time.sleep(rng.uniform(0, seconds))
            os.kill(child, rng.choice((signal.SIGKILL, signal.SIGTERM)))
        code = wait(child)
        if code == 0:
            return kills
        if code not in ENDS:
            raise SystemExit(f"{output.name} ended with {code}:\n{log.read_text()}")
        kills.append(ENDS[code])


def reference(name: str, data: Path, folder: Path) -> float:
    """Trains a method once, left alone; returns the seconds."""
    began = time.monotonic()
    if wait(forked(main, words(name, data, folder / name), folder / f"{name}.out")):
        raise SystemExit(f"{name}:\n{(folder / name).with_suffix('.out').read_text()}")
    return time.monotonic() - began


def drive(data: Path, folder: Path, kills: int, seed: int) -> dict[str, Tally]:
    """Kills one method after the other, from a random one on, until `kills` are made."""
    torch.set_num_threads(1)
    register_miniature()
    register_mini()
    rng, found = random.Random(seed), {name: Tally() for name in names()}
    first, seconds = rng.randrange(len(found)), {}
    for name in cycle([*list(found)[first:], *list(found)[:first]]):
        if sum(tally.kills.total() for tally in found.values()) >= kills:
            break
        if name not in seconds:
            seconds[name] = reference(name, data, folder)
        tally = found[name]
        output = folder / f"{name}-{tally.runs}"
        tally.kills.update(killed(words(name, data, output), output, rng, seconds[name]))
        tally.runs += 1
        tally.same += equal(outcome(output), outcome(folder / name))
    return {name: tally for name, tally in found.items() if tally.runs}


if __name__ == "__main__":
    result = drive(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
    print(json.dumps({name: vars(tally) for name, tally in result.items()}))
