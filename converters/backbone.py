"""Defines, proves, writes and reads a backbone: all its Detectron2-named arrays, and the facts about them.

It imports no torch. Stock Detectron2 reads the files written here; reading one here runs none of its code.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from converters.command import spelled
from converters.containers.pickles.machine import LONG_DATA
from converters.containers.pickles.writer import write_pickle
from converters.containers.reading import Opened, open_file
from converters.containers.tensors import StoredTensor
from converters.containers.writing import replacing
from converters.errors import CheckpointError
from converters.networks.family import COUNTER, Fact, Family
from converters.networks.resnet_shapes import expected_shapes
from converters.networks.table import family_of, named
from converters.publishers.row import IMAGENET

__all__ = [
    "Backbone",
    "CheckpointError",
    "Fact",
    "expected_shapes",
    "facts_of_weights",
    "later_facts",
    "load_backbone",
    "save_backbone",
]

AUTHOR = "moco-transfer"  # any text but "Caffe2", which would switch Detectron2's renaming of Caffe2 files on
MANIFEST, DIGEST = "moco_transfer_manifest", "moco_transfer_sha256"
PIXELS = (
    Fact("input_format", str, IMAGENET.input_format, "input format"),
    Fact("pixel_mean", list, list(IMAGENET.mean), "pixel mean"),
    Fact("pixel_std", list, list(IMAGENET.std), "pixel std"),
)


def facts_of_weights(family: Family) -> tuple[Fact, ...]:
    """The facts that belong to the weights of a family and move the numbers of a run, in manifest order."""
    return (*family.facts, *family.stated, *PIXELS)


def later_facts(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """Facts that the first manifests did not know, where they are not as usual: a reader must know them.

    CheckpointError for a family that is not known.
    """
    later = {fact.key: fact.usual for fact in facts_of_weights(family_of(manifest)) if fact.later}
    return {key: manifest[key] for key, usual in later.items() if manifest.get(key, usual) != usual}


def manifest_types(family: Family) -> dict[str, type]:
    """Every key that a manifest must have, but for later facts, and the JSON type of its value."""
    texts = ("source", "source_file", "source_sha256", "container_path", "prefix", "encoder", "dialect")
    facts = {fact.key: fact.kind for fact in facts_of_weights(family) if not fact.later}
    return {**dict.fromkeys(texts, str), **facts, "num_tensors": int, "tool_version": str, "notes": list}


SHOWN_KEYS = ("source", "encoder", "dialect", "tool_version")  # go to terminals and reports as they are


@dataclass(frozen=True)
class Backbone:
    """Weights by relative Detectron2 name, and a manifest of JSON types.

    Weights are float32, counters int64 of shape (); all are C-contiguous.
    """

    weights: dict[str, np.ndarray]
    manifest: dict[str, Any]

    def content_sha256(self) -> str:
        """Hash of the weights and the facts that move numbers: equal exactly where runs may agree.

        CheckpointError for a family that is not known.
        """
        family = family_of(self.manifest)
        digest = hashlib.sha256()
        for name in sorted(self.weights):
            array = np.asarray(self.weights[name], order="C")
            digest.update(f"{name} {array.dtype.name} {array.shape}\n".encode())
            digest.update(array.reshape(-1).view(np.uint8).data)
        facts = {fact.key: self.manifest[fact.key] for fact in facts_of_weights(family) if not fact.later}
        digest.update(_canonical(facts | later_facts(self.manifest) | named(family)))
        return digest.hexdigest()


def prove(backbone: Backbone) -> None:
    """Raises CheckpointError unless manifest and weights are complete and fit each other exactly."""
    family = family_of(backbone.manifest)
    _prove_manifest(backbone.manifest, family)
    _prove_weights(backbone, family)


def _prove_manifest(manifest: dict[str, Any], family: Family) -> None:
    try:
        _canonical(manifest)
    except (TypeError, ValueError) as error:
        raise CheckpointError(f"backbone manifest: holds more than JSON: {error}") from None
    later = {f.key: f.kind for f in facts_of_weights(family) if f.later and f.key in manifest}
    for key, kind in (manifest_types(family) | later).items():
        if (
            key not in manifest
            or not isinstance(manifest[key], kind)
            or (kind is int and type(manifest[key]) is not int)
        ):
            raise CheckpointError(f"backbone manifest: {key!r} is missing or not a {kind.__name__}")
    facts = (*family.facts, *family.stated)
    if wrong := [why for f in facts if f.key in manifest and (why := f.problem(manifest[f.key]))]:
        raise CheckpointError(f"backbone manifest: {wrong[0]}")
    long = [key for key, value in manifest.items() if len(_canonical(value)) > LONG_DATA and key != "notes"]
    if long:  # a pickle's long texts are not read back as text
        raise CheckpointError(f"backbone manifest: {long[0]} is longer than {LONG_DATA} bytes")
    if not all(type(text) is str and text.isprintable() for text in _shown(manifest)):
        raise CheckpointError(
            f"backbone manifest: {', '.join(SHOWN_KEYS)} and notes must be text without control characters"
        )
    if manifest["input_format"] not in ("RGB", "BGR"):
        raise CheckpointError(
            f"backbone manifest: input_format {manifest['input_format']!r}; expected RGB or BGR"
        )
    for key in ("pixel_mean", "pixel_std"):
        values = manifest[key]
        if len(values) != 3 or not all(type(v) in (int, float) and np.isfinite(v) for v in values):
            raise CheckpointError(f"backbone manifest: {key} {values!r}; expected three numbers")
    if min(manifest["pixel_std"]) <= 0:
        raise CheckpointError(
            f"backbone manifest: pixel_std {manifest['pixel_std']}; expected positive numbers"
        )


def _prove_weights(backbone: Backbone, family: Family) -> None:
    manifest, weights = backbone.manifest, backbone.weights
    try:
        expected = family.shapes(manifest)
    except ValueError as error:
        raise CheckpointError(f"backbone manifest: {error}") from None
    missing, extra = sorted(set(expected) - set(weights)), sorted(set(weights) - set(expected))
    wrong = [
        f"{name} {weights[name].dtype} {weights[name].shape}"
        for name, shape in expected.items()
        if name in weights and (weights[name].shape != shape or weights[name].dtype != _element_type(name))
    ]
    if missing or extra or wrong:
        raise CheckpointError(
            f"backbone is not the complete {family.label(manifest)}: {len(missing)} missing {missing[:3]}, "
            f"{len(extra)} unexpected {extra[:3]}, {len(wrong)} of wrong shape or type {wrong[:3]}"
        )


def _element_type(name: str) -> str:
    return "int64" if name.endswith(COUNTER) else "float32"


def _shown(manifest: dict[str, Any]) -> list[Any]:
    return [*(manifest[key] for key in SHOWN_KEYS), *manifest["notes"]]


def save_backbone(backbone: Backbone, path: str | os.PathLike[str]) -> None:
    """Writes atomically; same backbone, same bytes. CheckpointError if incomplete or not to be written."""
    prove(backbone)
    write_proven(backbone, path, backbone.content_sha256())


def write_proven(backbone: Backbone, path: str | os.PathLike[str], content_sha256: str) -> None:
    """As `save_backbone`, for a backbone that this process has opened, and so proven, and hashed already.

    A hash that is not its own makes a file that no reader takes.
    """
    content = {
        "__author__": AUTHOR,
        "matching_heuristics": True,
        MANIFEST: backbone.manifest,
        DIGEST: file_digest(backbone.manifest, content_sha256),
        "model": {name: np.asarray(backbone.weights[name], order="C") for name in sorted(backbone.weights)},
    }
    with replacing(path, backbone.weights.values()) as file:
        write_pickle(file.write, content)


def load_backbone(path: str | os.PathLike[str]) -> Backbone:
    """The converted backbone in `path`, proven complete and undamaged. CheckpointError otherwise."""
    opened = open_file(path)
    if not is_backbone_file(opened):
        first = spelled("converters", "INPUT OUTPUT.pkl")
        raise CheckpointError(f"{opened.path}: not a converted backbone; run `{first}` first")
    return read_backbone(opened)


def is_backbone_file(opened: Opened) -> bool:
    """Whether this package wrote it, as a pickle, in torchvision's form or as safetensors."""
    return MANIFEST in opened.metadata or (type(opened.root) is dict and MANIFEST in opened.root)


def holds_backbone(path: str | os.PathLike[str]) -> bool:
    """As `is_backbone_file`, for any path; nothing of the file is run and no weights are read."""
    try:
        return is_backbone_file(open_file(path))
    except CheckpointError:
        return False


def read_backbone(opened: Opened) -> Backbone:
    """As `load_backbone`, for a file that is open already.

    The hash in it covers all that is taken from it, so the container's own checksums are not asked for.
    """
    stored, manifest, stated = _contents(opened)
    if type(stored) is not dict or type(manifest) is not dict:
        raise CheckpointError(f"{opened.path}: damaged backbone file: weights or manifest are no table")
    if any(type(tensor) is not StoredTensor for tensor in stored.values()):
        raise CheckpointError(f"{opened.path}: damaged backbone file: a weight is not an array")
    try:
        backbone = Backbone({name: tensor.array() for name, tensor in stored.items()}, manifest)
        prove(backbone)
        digest = file_digest(manifest, backbone.content_sha256())
    except (ValueError, TypeError) as error:
        raise CheckpointError(f"{opened.path}: {error}") from None
    if stated != digest:
        raise CheckpointError(
            f"{opened.path}: damaged or edited: its contents do not fit their SHA-256; convert again"
        )
    return backbone


def _contents(opened: Opened) -> tuple[Any, Any, Any]:
    """(weights by our names, manifest, digest) as the file has them, not yet checked."""
    facts = opened.metadata
    if MANIFEST not in facts:
        return opened.root.get("model"), opened.root.get(MANIFEST), opened.root.get(DIGEST)
    try:
        manifest = json.loads(facts[MANIFEST])
    except (TypeError, ValueError, RecursionError) as error:
        raise CheckpointError(
            f"{opened.path}: damaged backbone file: its manifest is not JSON: {error}"
        ) from None
    stored = opened.root
    if type(stored) is dict and type(manifest) is dict:
        try:
            names = family_of(manifest).exported()
        except CheckpointError as error:
            raise CheckpointError(f"{opened.path}: {error}") from None
        stored = {names.get(name, name): tensor for name, tensor in stored.items()}
    return stored, manifest, facts.get(DIGEST)


def file_digest(manifest: dict[str, Any], content_sha256: str) -> str:
    """SHA-256 over the weights' hash and the whole manifest: a file carries it to prove itself."""
    return hashlib.sha256(f"{content_sha256} ".encode() + _canonical(manifest)).hexdigest()


def _canonical(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()
