"""Defines the request that a plan answers, from the command line, and the bounds of trials and seeds."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from converters.trackers import Trackers

TRIALS = 1000  # per row, at most
SEEDS = 2**32  # what numpy and torch take on every machine
TUNE = 21  # candidates, at most: from a thousandth to a thousand times the recipe's rate
TUNING_SEED = SEEDS - 1  # of all candidates; no tuned trial has it


@dataclass(frozen=True)
class Request:
    """All that a plan depends on beyond suites and inits."""

    trials: int | None  # None: the suite's own number (one for a miniature)
    seed: int
    engine: str
    smoke: bool
    synthetic: bool
    data_root: Path
    num_processes: int
    overrides: list[tuple[str, str]]
    output: Path
    accumulate: bool = False  # keep the recipe's batch by micro-steps, where processes are fewer
    deterministic: bool = False  # ask torch for algorithms that repeat themselves on a GPU
    limit: int = 0  # test images at most; 0: all
    evaluate: str | None = None  # a file, or "" for the models of finished cells; None: cells are trained
    trackers: Trackers = Trackers()  # what is told of every cell while it runs
    tune: int = 0  # learning rates that every row tries on a split of train; 0: the recipe's is taken
