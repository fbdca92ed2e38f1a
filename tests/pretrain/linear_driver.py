"""Runs `python -m pretrain.linear` in forks of one process, which end by a signal and are started again.

Usage: python -m tests.pretrain.linear_driver DATA CHECKPOINT FOLDER. Prints one JSON line: for every signal
the exit code, the iterations saved by then, and whether the second run ended bit for bit like one that was
left alone from its begin to its end.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any
from unittest import mock

import torch

import pretrain.monitors.linear_fit  # imported before the forks
from pretrain.linear import main
from pretrain.process.progress import Reporter
from tests.pretrain.helpers import overriding
from tests.pretrain.kill_driver import equal, forked, outcome, wait

SIGNALS = ("SIGTERM", "SIGINT", "SIGHUP", "SIGUSR1", "SIGKILL")
OPTIONS = "--device cpu --image-size 32 -b 8 -p 3 --lr 30 1 --epochs 6 --schedule 2 4"
MOMENT = 9  # of 18 iterations


class Interrupted(Reporter):
    """Sends this process a signal after the training step of iteration MOMENT, before its save."""

    number = 0

    def step(self, iteration: int, values: dict[str, float]) -> None:
        super().step(iteration, values)
        if iteration == MOMENT:
            os.kill(os.getpid(), self.number)


def interrupted(arguments: list[str], number: int) -> int:
    with mock.patch.object(pretrain.monitors.linear_fit, "Reporter", Interrupted):
        Interrupted.number = number
        return main(arguments)


def drive(data: str, pretrained: str, folder: Path) -> dict[str, Any]:
    torch.set_num_threads(1)
    fixed = ["--data", data, "--pretrained", pretrained, *OPTIONS.split()]

    def run(name: str, *more: str, number: int = 0) -> int:
        arguments = overriding(fixed, ["--output", str(folder / f"{name}.json"), *more])
        command = (lambda given: interrupted(given, number)) if number else main
        return wait(forked(command, arguments, folder / f"{name}.out"))

    def end(name: str) -> Any:
        return *outcome(folder / name), json.loads((folder / f"{name}.json").read_text())

    if run("reference"):
        raise SystemExit((folder / "reference.out").read_text())
    answers = {}
    for name in SIGNALS:
        minutes = "0" if name == "SIGKILL" else "10"
        code = run(name, "-j", "1", "--save-minutes", minutes, number=getattr(signal, name))
        saved = sorted(int(path.name[11:19]) for path in (folder / name).glob("checkpoint_0*"))
        again = run(name, "-j", "3")
        same = again == 0 and equal(end(name), end("reference"))
        answers[name] = {"code": code, "saved": saved, "again": again, "same": same}
    return answers


if __name__ == "__main__":
    print(json.dumps(drive(sys.argv[1], sys.argv[2], Path(sys.argv[3]))))
