"""Options that do not fit together or the machine, refused before anything is built; and what identifies a
run.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any

from pretrain.errors import PretrainError
from pretrain.images.sources import ImageSet
from pretrain.process import distributed

# Options that move the numbers: a checkpoint is continued only with equal values. Length and hardware may
# change.
IDENTITY = (
    "arch", "mechanism", "moco_dim", "moco_k", "moco_m", "moco_t", "bank_m", "mlp", "cos", "small_images",
    "image_size", "batch_size", "lr", "schedule", "lr_decay_every", "lr_decay", "momentum", "wd", "seed",
)  # fmt: skip


def identity_of(args: argparse.Namespace, images: ImageSet, groups: int, recipe: str) -> dict[str, Any]:
    """Everything but the code that decides the numbers of a run, in JSON types."""
    options = {name: getattr(args, name) for name in IDENTITY}
    if args.deterministic:  # else absent: files of runs without it stay as they were
        options["deterministic"] = True
    return {
        **options,
        "augmentation": recipe,
        "bn_groups": groups,
        "shuffle_bn": not args.no_shuffle_bn,
        "num_images": len(images),
        "images_sha256": images.sha256(),
    }


def bn_groups(wanted: int | None, batch_size: int, mechanism: str, *, shuffle: bool) -> int:
    """BatchNorm groups of the global batch. Raises PretrainError where shuffling would have nothing to
    shuffle between.

    Default: one a process, as published; in one process groups of 32, the published size per GPU, and at
    least two.
    """
    processes = int(os.environ.get("WORLD_SIZE", 1))
    shuffles = mechanism != "memory_bank"
    groups = wanted or (processes if processes > 1 or not shuffles else max(2, batch_size // 32))
    if groups % processes:
        raise PretrainError(f"--bn-groups {groups}: must be a multiple of the {processes} processes")
    if batch_size % groups:
        raise PretrainError(
            f"--batch-size {batch_size} does not divide into {groups} BatchNorm groups; "
            f"nearest valid: {nearest_multiple(batch_size, groups)}"
        )
    if batch_size // groups < 2:
        raise PretrainError(
            f"--batch-size {batch_size} in {groups} BatchNorm groups leaves one image a group, too few for "
            f"statistics; use at least --batch-size {2 * groups}"
        )
    if shuffles and shuffle and groups == 1:
        raise PretrainError(
            "--bn-groups 1 in one process: permuting a batch that is normalised as a whole changes no "
            "statistic, so shuffling BN would do nothing; use 2 or more groups or --no-shuffle-bn"
        )
    return groups


def check_sizes(num_images: int, batch_size: int, queue: int, groups: int, mechanism: str) -> None:
    """Raises PretrainError where batch, data and queue do not fit together."""
    if batch_size > num_images:
        raise PretrainError(
            f"--batch-size {batch_size} is more than the {num_images} images found; "
            f"use at most {num_images // groups * groups}"
        )
    if mechanism == "queue" and queue % batch_size:
        raise PretrainError(
            f"--moco-k {queue} is not a multiple of the batch of {batch_size}; "
            f"nearest valid: {nearest_multiple(queue, batch_size)}"
        )


def nearest_multiple(value: int, of: int) -> int:
    return max(1, round(value / of)) * of


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
