"""Refuses options that do not fit together, the data or the machine, before anything is built."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from pretrain.errors import PretrainError
from pretrain.images.draws import Views
from pretrain.methods.choose import joint_row, row_names, trains
from pretrain.methods.options import MethodOptions
from pretrain.networks.convnext_sizes import is_convnext, parse_convnext, require_pixels
from pretrain.networks.vit_sizes import is_vit, patch_of, require_whole_patches
from pretrain.process import distributed
from pretrain.training.run_options import MOST_ITERATIONS

OTHERS = {"vision transformers": is_vit, "ConvNeXts": is_convnext}  # than ResNets


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


def require_network(arch: str, name: str, method: MethodOptions, small_images: bool) -> None:
    """Raises PretrainError where a method does not train this network, or another has a ResNet's stem."""
    if is_convnext(arch):
        parse_convnext(arch)
    if not trains(method, arch):
        here = next((kind for kind, named in OTHERS.items() if named(arch)), "ResNets")
        there = "ResNets" if getattr(method, "vit", None) is None else "vision transformers"
        others = [row for row in row_names() if trains(joint_row(row, arch), arch)]
        raise PretrainError(
            f"--arch {arch}: {name} trains {there}; of {here} choose among --method {', '.join(others)}"
        )
    if small_images and is_vit(arch):
        raise PretrainError(
            f"--small-images: is a stem for ResNets; leave it out, and give {arch} a smaller patch instead"
        )
    if small_images and is_convnext(arch):
        raise PretrainError(f"--small-images: is a stem for ResNets; leave it out with {arch}")


def require_patches(arch: str, image_size: int, views: Sequence[Views], method: MethodOptions) -> None:
    """Raises PretrainError where views of a ViT, or its table of positions, have no whole patches.

    A method that hides patches is asked whether any is left. Views of a ConvNeXt must not be too small.
    """
    if is_convnext(arch):
        for view in views:
            require_pixels(view.size, f"--image-size {image_size}, --views ...{view.recipe}")
    if not is_vit(arch):
        return
    patch = patch_of(arch)
    require_whole_patches(image_size, patch, f"--image-size {image_size}")
    for view in views:
        require_whole_patches(view.size, patch, f"--views ...{view.recipe}")
    if hasattr(method, "visible"):
        method.visible((image_size // patch) ** 2)


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
