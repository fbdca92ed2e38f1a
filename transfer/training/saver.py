"""Keeps a training on disk, so that a run that was killed goes on: its checkpoints, its log and its time.

What is logged is handed to trackers, too.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from pathlib import Path

from boltons.fileutils import atomic_save

from converters.trackers import Tracker
from transfer.process.disk import writing
from transfer.training.checkpoint import load_checkpoint, save_checkpoint
from transfer.training.learner import Learner
from transfer.training.outcome import forget_metrics

LOG = "log.jsonl"
LOG_PERIOD = 20  # iterations between two lines of log.jsonl, as in Detectron2


class Saver:
    """Reads and writes a learner's state in `directory`; of several processes the main one alone writes."""

    def __init__(
        self,
        directory: Path,
        learner: Learner,
        log_period: int = LOG_PERIOD,
        trackers: Sequence[Tracker] = (),
    ):
        self.directory, self.learner, self.log_period = directory, learner, log_period
        self.trackers = trackers
        self.main = learner.world.main
        self._began = time.monotonic()

    @property
    def seconds(self) -> float:
        """The time of the run in all its parts, those before a kill included."""
        return time.monotonic() - self._began

    def resume(self, last: int) -> int:
        """Brings the learner to the newest checkpoint that verifies; returns how many iterations are done.

        The log is cut back to what that checkpoint knows. If any of the `last` iterations is left, metrics of
        an earlier training, whose checkpoints are gone, are removed.
        """
        start, spent_s = 0, 0.0
        if loaded := load_checkpoint(self.directory):
            self.learner.load(loaded.content)
            start, spent_s = loaded.iteration, loaded.content["time_s"]
        if self.main and start < last:
            forget_metrics(self.directory)
        self._began = time.monotonic() - spent_s
        if self.main:
            _cut_back(self.directory / LOG, start)
        return start

    def log(self, iteration: int, total: float, rate: float, losses: dict[str, float]) -> None:
        """Adds a line to log.jsonl, and tells the trackers."""
        if self.main:
            entry = {"iteration": iteration, "total_loss": total, "lr": rate, "time_s": self.seconds}
            path = self.directory / LOG
            with writing(path), path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(entry | losses) + "\n")
            for tracker in self.trackers:
                tracker.log({"total_loss": total, "lr": rate, **losses}, iteration)

    def save(self, done: int) -> None:
        """Writes a checkpoint of the state after `done` iterations; on DiskError the one before stays."""
        if self.main:
            save_checkpoint(self.directory, done, self.learner.state() | {"time_s": self.seconds})


def _cut_back(path: Path, start: int) -> None:
    """Keeps the lines of the iterations before `start`, so that none stands in the log twice."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True) if path.exists() else []
    whole = [line for line in lines if line.endswith("\n")]
    kept = [line for line in whole if json.loads(line)["iteration"] < start]
    with atomic_save(str(path), text_mode=True, overwrite_part=True) as file:
        file.writelines(kept)
