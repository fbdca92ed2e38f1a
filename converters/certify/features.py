"""Writes and reads the maps of a reference: a file of features for machines without the publisher's code."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from converters.certify.images import Maps, Size, digest
from converters.containers.writing import replacing
from converters.errors import CheckpointError

MAP = "map"  # a reference's only map, where it gives no names


@dataclass(frozen=True)
class Reference:
    """The maps of each image, and what else the reference says about itself."""

    title: str  # "timm 1.0.31: vit_base_patch16_224"
    maps: tuple[Maps, ...]
    stride: int = 0  # as the reference declares it; 0 if it does not
    pixels: Mapping[str, list[float]] = field(default_factory=dict)  # mean and std, RGB, 0..255; or nothing


def write_features(path: Path, reference: Reference, wanted: Sequence[Size]) -> None:
    """Writes a file of features, for a machine that lacks the publisher's code."""
    facts = {
        "title": reference.title,
        "stride": reference.stride,
        "pixels": dict(reference.pixels),
        "sizes": wanted,
        "images_sha256": digest(wanted),
    }
    arrays = {
        f"{number}/{name}": array
        for number, maps in enumerate(reference.maps)
        for name, array in maps.items()
    }
    with replacing(path, arrays.values()) as file:
        np.savez(file, facts=np.array(json.dumps(facts)), **arrays)  # type: ignore[arg-type]


def read_features(path: Path, wanted: Sequence[Size]) -> Reference:
    """Reads a file of features, and no code. CheckpointError if it is none, or one of other images."""
    try:
        with np.load(path, allow_pickle=False) as file:
            facts = json.loads(str(file["facts"]))
            arrays = {name: np.asarray(file[name], np.float32) for name in file.files if name != "facts"}
        sizes = [tuple(size) for size in facts["sizes"]]
        maps: tuple[Maps, ...] = tuple({} for _ in sizes)
        for name, array in arrays.items():
            number, _, its = name.partition("/")
            maps[int(number)][its] = array
        reference = Reference(str(facts["title"]), maps, int(facts["stride"]), dict(facts["pixels"]))
        images = facts["images_sha256"]
    except FileNotFoundError:
        raise CheckpointError(
            f"{path}: no such file; expected timm:NAME, torch:CHECKOUT:MODULE:CALLABLE or a file of features"
        ) from None
    except (OSError, EOFError, BadZipFile, ValueError, LookupError, TypeError, AttributeError) as error:
        raise CheckpointError(f"{path}: no file of features of `certify --write`: {error}") from None
    if sizes != list(wanted) or images != digest(wanted):
        told = " ".join(f"{height}x{width}" for height, width in sizes)
        raise CheckpointError(f"{path}: its images are not the wanted ones; say --size {told}")
    return reference
