"""Writes a backbone for other programs: torchvision's names in a torch file, or safetensors."""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Callable
from pathlib import Path

import numpy as np
from boltons.fileutils import atomic_save

from converters.backbone import Backbone, prove, save_backbone
from converters.dialects import inverse
from converters.errors import CheckpointError


def to_torchvision(backbone: Backbone) -> dict[str, np.ndarray]:
    """The weights under torchvision's names; no classifier: load with strict=False."""
    names = inverse("torchvision", backbone.weights)
    return {names[name]: array for name, array in backbone.weights.items()}


def save_torchvision(backbone: Backbone, path: str | os.PathLike[str]) -> None:
    """`{"state_dict": tensors, "manifest": json}`: loads with torch.load's safe default."""
    import torch

    prove(backbone)
    tensors = {name: torch.from_numpy(array) for name, array in to_torchvision(backbone).items()}
    content = {"state_dict": tensors, "manifest": json.dumps(backbone.manifest, sort_keys=True)}
    with _replacing(path) as file:
        torch.save(content, file)


def save_safetensors(backbone: Backbone, path: str | os.PathLike[str]) -> None:
    """Detectron2's relative names; the manifest is the header's metadata."""
    from safetensors.numpy import save

    prove(backbone)
    metadata = {"manifest": json.dumps(backbone.manifest, sort_keys=True)}
    arrays = {name: np.asarray(array, order="C") for name, array in sorted(backbone.weights.items())}
    with _replacing(path) as file:
        file.write(save(arrays, metadata=metadata))


def _replacing(path: str | os.PathLike[str]):  # type: ignore[no-untyped-def]
    target = Path(path)
    if not target.parent.is_dir():
        raise CheckpointError(f"{target}: its folder does not exist; create it first")
    return atomic_save(str(target), part_file=f".{target.name}.{uuid.uuid4().hex}.part")


WRITERS: dict[str, Callable[[Backbone, str | os.PathLike[str]], None]] = {
    "detectron2": save_backbone,
    "torchvision": save_torchvision,
    "safetensors": save_safetensors,
}


def export(backbone: Backbone, path: str | os.PathLike[str], target: str) -> None:
    """Writes atomically in one of the WRITERS' forms. CheckpointError if the place is not writable."""
    try:
        WRITERS[target](backbone, path)
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be written ({error.strerror or error})") from None
