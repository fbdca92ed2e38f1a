"""Decides where a backbone may be written, and in which form: no file is lost, no suffix lies."""

from __future__ import annotations

import os
from pathlib import Path

from converters.backbone import holds_backbone
from converters.containers.reading import input_files
from converters.errors import CheckpointError

SUFFIXES = {".pkl": "detectron2", ".safetensors": "safetensors", ".pth": "torchvision", ".pt": "torchvision"}
TARGETS = ("detectron2", "torchvision", "safetensors")


def choose_target(output: str | os.PathLike[str], stated: str | None) -> str:
    """The form to write: what the suffix means, or `stated` where it means nothing.

    CheckpointError if the suffix is unknown and nothing is stated, or the two contradict each other.
    """
    path = Path(output)
    meant = SUFFIXES.get(path.suffix.lower())
    if meant is None and stated is None:
        raise CheckpointError(
            f"{path}: its suffix does not say what to write; expected {', '.join(SUFFIXES)}, or add --to "
            f"{'|'.join(TARGETS)}"
        )
    if meant is not None and stated not in (None, meant):
        right = " or ".join(suffix for suffix, target in SUFFIXES.items() if target == stated)
        raise CheckpointError(
            f"{path}: its suffix means --to {meant}, not {stated}; expected {right}, or leave --to out"
        )
    return meant or str(stated)


def check_place(given: str | os.PathLike[str], output: str | os.PathLike[str], force: bool) -> None:
    """Refuses an output that would cost the user a file. CheckpointError says which and what to do.

    The input is never overwritten, under any of its names. Another file is, if `force` is set or if it is a
    backbone that was converted from a raw checkpoint and can be again; between two converted backbones it
    needs `force`, as a shell's glob hands over two files that are alike.
    """
    path = Path(output)
    if not path.parent.is_dir():
        raise CheckpointError(f"{path}: its folder does not exist; create it first")
    if not os.path.lexists(path):
        return
    if any(_same_file(path, file) for file in input_files(given)):
        raise CheckpointError(f"{path}: is the input itself; give the output another name")
    if path.exists() and not path.is_file():
        what = "is a folder" if path.is_dir() else "is not a regular file"
        raise CheckpointError(f"{path}: {what}; give the output the name of a file")
    if force:
        return
    if not holds_backbone(path):
        raise CheckpointError(
            f"{path}: exists and is no backbone that this tool wrote; give another name, or add --force"
        )
    if any(holds_backbone(file) for file in input_files(given)):
        raise CheckpointError(f"{path}: exists, and the input is a backbone too; add --force to overwrite it")


def _same_file(one: Path, two: Path) -> bool:
    """Whether two names lead to one file, over links of either kind and other spellings."""
    try:
        return os.path.samefile(one, two)
    except OSError:
        return False
