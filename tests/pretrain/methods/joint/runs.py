"""Trains every row of the frame by the command line on a few small images, whole or killed and resumed.

Usage: python -m tests.pretrain.methods.joint.runs DATA FOLDER TRIALS SEED. Prints one JSON line: for each row
how many killed and resumed runs ended to the bit like the one that was left alone.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import torchvision  # noqa: F401  imported before the forks

from pretrain.cli import main
from pretrain.methods.joint.flags import flag
from pretrain.methods.joint.frame import JointEmbedding
from tests.pretrain.kill_driver import equal, forked, outcome, wait
from tests.pretrain.methods.joint.cases import TINY
from tests.pretrain.tiny import register_miniature

ITERATIONS = 5
GENERAL = "--arch resnet_miniature --batch-size 8 --image-size 32 --device cpu --precision fp32 -p 1 -j 1"
# Of each row what makes it small, and lets begin within seven steps whatever begins later.
SMALL: dict[str, dict[str, Any]] = {
    "swav": {
        "views": "2*swav+1*swav_local@1/2",
        "queue_epoch": 0,
        "freeze_iterations": 2,
        "warmup_epochs": 1,
    },
    "dino": {"views": "dino_1+dino_2+1*dino_local@1/2", "warm_epochs": 2, "freeze_iterations": 2},
}


def arguments(name: str, **more: Any) -> list[str]:
    """The options of a run of a row, all but where its data are and its files go."""
    values = {"warmup_epochs": 0, **TINY[name], **SMALL.get(name, {}), **more}
    options = [word for key, value in values.items() for word in (flag(key), str(value))]
    return ["--method", name, *GENERAL.split(), *options]


def command(name: str, data: Path, output: Path, *more: str) -> list[str]:
    return ["--data", str(data), "--output", str(output), *arguments(name), *more]


def killed_after(words: Sequence[str], step: int) -> int:
    """Runs the command and ends this process by SIGKILL within one of its steps."""
    after_step, done = JointEmbedding.after_step, []

    def counted(self: JointEmbedding) -> None:
        done.append(1)
        if len(done) > step:
            os.kill(os.getpid(), signal.SIGKILL)
        after_step(self)

    JointEmbedding.after_step = counted  # type: ignore[method-assign]
    return main(words)


def survives(name: str, data: Path, folder: Path, trial: int, rng: random.Random) -> bool:
    """Whether a run that is killed in a random step ends like the reference."""
    output = folder / f"{name}-{trial}"
    words = command(name, data, output, "--max-iters", str(ITERATIONS), "--save-iters", "2")
    step = rng.randrange(ITERATIONS)
    code = wait(forked(lambda given: killed_after(given, step), words, output.with_suffix(".out")))
    if code != -signal.SIGKILL or wait(forked(main, words, output.with_suffix(".out"))):
        raise SystemExit(f"{name} ended with {code}:\n{output.with_suffix('.out').read_text()}")
    return equal(outcome(output), outcome(folder / name))


def drive(data: Path, folder: Path, trials: int, seed: int) -> dict[str, int]:
    torch.set_num_threads(1)
    register_miniature()
    rng, same = random.Random(seed), {}
    for name in TINY:
        words = command(name, data, folder / name, "--max-iters", str(ITERATIONS), "--save-iters", "2")
        if wait(forked(main, words, folder / f"{name}.out")):
            raise SystemExit((folder / f"{name}.out").read_text())
        same[name] = sum(survives(name, data, folder, trial, rng) for trial in range(trials))
    return same


if __name__ == "__main__":
    print(json.dumps(drive(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))))
