"""Defines the options of one pre-training run, made once from the arguments and never changed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pretrain.methods.options import MethodOptions

MOST_ITERATIONS = 99_999_999  # the names of checkpoints hold eight digits


@dataclass(frozen=True)
class RunOptions:
    """Holds the options of `python -m pretrain`, one field each; those of the method are in `method`."""

    # data
    data: str
    output: Path
    image_size: int
    workers: int | None
    cache_mb: int
    max_corrupt: float
    augment_on: str  # auto, host or device
    # method
    arch: str
    mechanism: str  # a name in methods.choose.METHODS
    method: MethodOptions
    cos: bool
    small_images: bool
    bn_groups: int | None
    # training
    epochs: int | None
    max_iters: int | None
    batch_size: int
    lr: float
    schedule: tuple[int, ...]  # epochs
    lr_decay_every: int | None
    lr_decay: float
    momentum: float
    wd: float
    seed: int
    # running
    resume: Path | None
    start_from: Path | None
    device: str
    precision: str  # auto, fp32, bf16 or fp16
    deterministic: bool
    compile: bool
    print_freq: int
    save_minutes: float
    save_iters: int | None
    keep: int
    tensorboard: bool
    knn_every: int | None  # epochs
    knn_data: str | None
    monitor_every: int | None  # iterations; None: the default of methods that have the monitor
    stop_on_collapse: bool
    tracker: str | None  # a module
