"""Refuses options that do not fit together, the data or the machine, before anything is built."""

from __future__ import annotations

import os
from pathlib import Path

from pretrain.errors import PretrainError
from pretrain.process import distributed
from pretrain.training.run_options import MOST_ITERATIONS


def length_of(iterations: int | None, epochs: int | None, per_epoch: int) -> int:
    """Iterations of the whole run. Raises PretrainError for more than the names of checkpoints can hold."""
    total = iterations or (epochs or 200) * per_epoch
    if total > MOST_ITERATIONS:
        raise PretrainError(
            f"--epochs {epochs} are {total} iterations; expected at most {MOST_ITERATIONS}: lower --epochs"
        )
    return total


def bn_groups(wanted: int | None, batch_size: int, *, splits_batch: bool) -> int:
    """BatchNorm groups of the whole batch. Raises PretrainError where it does not divide into them.

    Default: one a process, as published. A method that `splits_batch` gets in one process groups of 32, the
    published size per GPU, and at least two.
    """
    processes = int(os.environ.get("WORLD_SIZE", 1))
    split = splits_batch and processes == 1
    groups = wanted or (max(2, batch_size // 32) if split else processes)
    if groups % processes:
        raise PretrainError(f"--bn-groups {groups}: must be a multiple of the {processes} processes")
    if batch_size % groups:
        nearest = max(1, round(batch_size / groups)) * groups
        raise PretrainError(
            f"--batch-size {batch_size} does not divide into {groups} BatchNorm groups; "
            f"nearest valid: {nearest}"
        )
    if batch_size // groups < 2:
        raise PretrainError(
            f"--batch-size {batch_size} in {groups} BatchNorm groups leaves one image a group, too few for "
            f"statistics; use at least --batch-size {2 * groups}"
        )
    return groups


def require_a_batch(num_images: int, batch_size: int, groups: int) -> None:
    """Raises PretrainError where the images do not fill a batch."""
    if batch_size > num_images:
        raise PretrainError(
            f"--batch-size {batch_size} is more than the {num_images} images found; "
            f"use at most {num_images // groups * groups}"
        )


def make_directory(path: Path) -> None:
    """Makes the output folder and proves that it can be written."""
    try:
        path.mkdir(parents=True, exist_ok=True)
        probe = path / f".writable-{distributed.rank()}-{os.getpid()}"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise PretrainError(
            f"--output {path}: cannot be written ({error.strerror}); choose another folder"
        ) from None
