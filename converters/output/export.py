"""Writes a backbone for other programs under torchvision's names: as a torch state dict or as safetensors.

Both carry the manifest where their readers pass over it, so that `open_checkpoint` knows the file again:
safetensors in the header's metadata, torch's archive in a member of its own.
"""

from __future__ import annotations

import io
import json
import os
import zipfile
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from converters.backbone import DIGEST, MANIFEST, Backbone, file_digest, prove, save_backbone
from converters.containers.torch_files import METADATA
from converters.containers.writing import replacing
from converters.errors import CheckpointError
from converters.networks.table import family_of

FLIPPED = "the first convolution's channels were flipped from BGR to RGB, exactly, for torchvision's reader"


def as_torchvision(backbone: Backbone) -> Backbone:
    """The backbone as torchvision's and timm's networks compute it: RGB, strides in the 3x3.

    A network for BGR gets its first convolution's input channels, means and deviations in RGB's order, and a
    note. CheckpointError if its strides are in the 1x1 convolutions, which those networks cannot do.
    """
    manifest = backbone.manifest
    family = family_of(manifest)
    if why := family.unexportable(manifest):
        raise CheckpointError(why)
    if manifest["input_format"] == "RGB":
        return backbone
    flipped = np.array(backbone.weights[family.colours][:, ::-1], order="C")
    facts = {
        "input_format": "RGB",
        "pixel_mean": manifest["pixel_mean"][::-1],
        "pixel_std": manifest["pixel_std"][::-1],
        "notes": [*manifest["notes"], FLIPPED],
    }
    return replace(
        backbone, weights={**backbone.weights, family.colours: flipped}, manifest={**manifest, **facts}
    )


def to_torchvision(backbone: Backbone) -> dict[str, np.ndarray]:
    """The weights under torchvision's names; no classifier: load with strict=False."""
    names: dict[str, str] = {}
    for foreign, ours in family_of(backbone.manifest).exported().items():
        names.setdefault(ours, foreign)  # the first, where a dialect has several names for one tensor
    return {names[name]: np.asarray(array, order="C") for name, array in sorted(backbone.weights.items())}


def save_torchvision(backbone: Backbone, path: str | os.PathLike[str]) -> None:
    """A bare state dict, as torch.load's safe default and `load_state_dict(..., strict=False)` take it."""
    import torch

    prove(backbone)
    archive = io.BytesIO()
    torch.save({name: torch.from_numpy(array) for name, array in to_torchvision(backbone).items()}, archive)
    with zipfile.ZipFile(archive, "a") as members:
        folder = members.namelist()[0].partition("/")[0]
        # A fixed time, so that the same backbone gives the same bytes.
        member = zipfile.ZipInfo(f"{folder}/{METADATA}", (1980, 1, 1, 0, 0, 0))
        members.writestr(member, json.dumps(_metadata(backbone)))
    with replacing(path, backbone.weights.values()) as file:
        file.write(archive.getbuffer())


def save_safetensors(backbone: Backbone, path: str | os.PathLike[str]) -> None:
    """torchvision's names; the header holds the manifest and `format`, which some readers ask for."""
    from safetensors.numpy import save

    prove(backbone)
    raw = save(to_torchvision(backbone))
    start = 8 + int.from_bytes(raw[:8], "little")
    # The library writes metadata in an order of chance: here the same backbone gives the same bytes.
    header = {"__metadata__": {"format": "pt", **_metadata(backbone)}, **json.loads(raw[8:start])}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # as the format asks for, so that the tensors are aligned
    with replacing(path, backbone.weights.values()) as file:
        file.write(len(text).to_bytes(8, "little") + text)
        file.write(memoryview(raw)[start:])


def _metadata(backbone: Backbone) -> dict[str, str]:
    digest = file_digest(backbone.manifest, backbone.content_sha256())
    return {MANIFEST: json.dumps(backbone.manifest), DIGEST: digest}


WRITERS: dict[str, Callable[[Backbone, str | os.PathLike[str]], None]] = {
    "detectron2": save_backbone,
    "torchvision": save_torchvision,
    "safetensors": save_safetensors,
}


def export(backbone: Backbone, path: str | os.PathLike[str], target: str) -> Backbone:
    """Writes atomically in one of the WRITERS' forms and returns what was written.

    CheckpointError if the form cannot hold this network or the place is not writable.
    """
    written = backbone if target == "detectron2" else as_torchvision(backbone)
    WRITERS[target](written, path)
    return written
