"""Makes a `Backbone` of a raw checkpoint or a converted backbone: opens, finds, chooses, reads, checks."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from converters.backbone import Backbone, is_backbone_file, prove, read_backbone
from converters.containers.pickles.foreign import code_warning
from converters.containers.reading import open_file
from converters.containers.tensors import StoredTensor
from converters.errors import CheckpointError
from converters.finding.accounting import Account
from converters.finding.choosing import Choice, choose, find
from converters.finding.health import check_health
from converters.finding.overrides import Overrides, apply_overrides
from converters.networks.family import ASIDE, COUNTER
from converters.networks.table import named
from converters.printable import LONGEST_NAME, printable

TOOL_VERSION = "1"
VERIFY_FIRST = 16 << 20  # bytes; larger files are verified while they are converted
TOO_LARGE = float(np.finfo(np.float32).max)


def open_checkpoint(
    path: str | os.PathLike[str], source: str | None = None, encoder: str | None = None, **overrides: Any
) -> Backbone:
    """The proven backbone in `path`, a raw checkpoint of any publisher or a file that was converted before.

    source: name of a row of the publishers' table; encoder: "online" or "ema"; the other overrides are
    the fields of `converters.finding.overrides.Overrides`. All are recorded in the manifest. CheckpointError
    with the reason if the file is not exactly one complete, healthy, undamaged network of a known family.
    """
    wishes = Overrides.make(overrides)
    opened = open_file(path)
    if is_backbone_file(opened):
        if source is not None or encoder is not None or wishes.prefix is not None:
            raise CheckpointError(
                f"{opened.path}: already converted; source, encoder and prefix cannot be chosen again"
            )
        backbone = read_backbone(opened)
        restated = apply_overrides(backbone, wishes)
        if restated is not backbone:
            prove(restated)
        return restated
    opened.verification.begin()
    if opened.verification.size <= VERIFY_FIRST:
        opened.verification.result()
    try:
        choice = choose(opened, find(opened, wishes.accept), source, encoder, wishes)
        weights, notes = read_weights(choice.account)
        other = choice.other.candidate if choice.other else None
        health = check_health(weights, choice.account.candidate, other, wishes.accept)
        notes = [*choice.notes, *notes, *health]
        manifest = describe(choice, opened.container, notes)
        manifest["source_file"], manifest["source_sha256"] = opened.path.name, opened.verification.result()
    except CheckpointError as error:
        # Damage explains a strange content better than the strange content does.
        opened.verification.result()
        warning = code_warning(opened.foreign)
        raise CheckpointError(f"{opened.path}: {error}{warning and f'; {warning}'}") from None
    backbone = apply_overrides(Backbone(weights, manifest), wishes)
    prove(backbone)
    return backbone


def read_weights(account: Account) -> tuple[dict[str, np.ndarray], list[str]]:
    """The account's tensors by our names, and notes on what was changed on the way."""
    candidate = account.candidate
    channels_last = candidate.dialect.channels_last
    weights: dict[str, np.ndarray] = {}
    types: set[str] = set()
    for name, shape in account.stored.items():
        stored = candidate.tensors.get(name)
        if stored is None:  # counters, or the statistics of accepted fused norms: account() said so
            weights[name] = _default(name, shape)
            continue
        array = _read(candidate.names[name], stored)
        if channels_last and array.ndim == 4 and ".norm." not in name:
            array = array.transpose(3, 2, 0, 1)
        if name.endswith(COUNTER):
            weights[name] = np.array(array.reshape(()), dtype=np.int64, order="C")
            continue
        if array.dtype.kind != "f":
            raise CheckpointError(
                f"{candidate.names[name]} holds {array.dtype}; expected floating point weights"
            )
        types.add(stored.dtype)
        if array.dtype.itemsize > 4 and np.abs(array[np.isfinite(array)]).max(initial=0) > TOO_LARGE:
            raise CheckpointError(f"{candidate.names[name]} holds numbers that float32 cannot")
        weights[name] = np.array(array.reshape(shape), dtype=np.float32, order="C")
    notes = []
    asides = {name: t for name, t in candidate.tensors.items() if name.startswith(ASIDE)}
    weights |= {name: _read(candidate.names[name], tensor) for name, tensor in asides.items()}
    try:
        weights = candidate.dialect.assembled(weights, account.facts)
    except ValueError as error:
        raise CheckpointError(error) from None
    if account.fused:
        notes.append("accepted by the user: fused norms, made neutral statistics; valid with FrozenBN only")
    if account.counters_missing:
        notes.append(f"{account.counters_missing} batch counters are not in the file and were set to 0")
    if types != {"f4"}:
        notes.append(f"weights were stored as {', '.join(sorted(types))} and widened or rounded to float32")
    return weights, notes


def _read(name: str, stored: StoredTensor) -> np.ndarray:
    try:
        return stored.array()
    except CheckpointError as error:
        raise CheckpointError(f"{printable(name, LONGEST_NAME)}: {error}") from None


def _default(name: str, shape: tuple[int, ...]) -> np.ndarray:
    if name.endswith(COUNTER):
        return np.zeros(shape, np.int64)
    # 1 - eps, as Detectron2's FrozenBatchNorm2d: with its eps of 1e-5 the affine map is then exact.
    return np.full(shape, 1 - 1e-5 if name.endswith(".running_var") else 0, np.float32)


def describe(choice: Choice, container: str, notes: list[str]) -> dict[str, Any]:
    """The manifest, but for the two facts about the whole file."""
    candidate, row = choice.account.candidate, choice.row
    return {
        "source": row.name,
        "source_file": "",
        "source_sha256": "",
        "container": container,
        "container_path": candidate.path,
        "prefix": candidate.raw_prefix,
        "encoder": choice.role,
        "dialect": candidate.dialect.name,
        **named(candidate.family),
        **candidate.family.told({**choice.account.facts, **choice.stated}),
        "input_format": row.pixels.input_format,
        "pixel_mean": list(row.pixels.mean),
        "pixel_std": list(row.pixels.std),
        "num_tensors": len(choice.account.expected),
        "tool_version": TOOL_VERSION,
        "notes": notes,
    }
