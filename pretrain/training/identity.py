"""Identifies a run by all that decides its numbers; a checkpoint is continued by an equal run only."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pretrain.errors import PretrainError
from pretrain.images.draws import Views
from pretrain.images.sources import ImageSet
from pretrain.training.run_options import RunOptions

# Length and hardware of a run may change. The order is that of the entries in a file, so that equal runs of
# all versions leave equal bytes; the entries of other methods follow.
_ORDER = (
    "arch", "mechanism", "moco_dim", "moco_k", "moco_m", "moco_t", "bank_m", "mlp", "cos", "small_images",
    "image_size", "batch_size", "lr", "schedule", "lr_decay_every", "lr_decay", "momentum", "wd", "seed",
    "deterministic", "augmentation", "bn_groups", "shuffle_bn", "num_images", "images_sha256",
)  # fmt: skip
# Entries that are written only where they say more.
_ABSENT: dict[str, Any] = {"deterministic": False, "start_from": None, "terms": {}}
_OF_EVERY_RUN = (
    "arch", "mechanism", "cos", "small_images", "image_size", "batch_size", "lr", "lr_decay_every",
    "lr_decay", "momentum", "wd", "seed",
)  # fmt: skip
# Of these a method with an optimizer of its own has none, or has it among its own values.
_OF_PLAIN_SGD = {"cos", "lr", "schedule", "lr_decay_every", "lr_decay", "momentum", "wd", "bn_groups"}


def identity_of(
    options: RunOptions, images: ImageSet, groups: int, views: Sequence[Views], start_from: str | None = None
) -> dict[str, Any]:
    """Everything but the code that decides the numbers of a run, in JSON types.

    `start_from` is the SHA-256 of the file whose weights the run starts from.
    """
    found = {
        **{name: getattr(options, name) for name in _OF_EVERY_RUN},
        **options.method.identity(),
        "schedule": list(options.schedule),
        "augmentation": "+".join(asked.recipe for asked in views),
        "bn_groups": groups,
        "num_images": len(images),
        "images_sha256": images.sha256(),
    }
    if options.method.own_optimizer:
        left_out = _OF_PLAIN_SGD - options.method.identity().keys()
        found = {name: value for name, value in found.items() if name not in left_out}
    if options.deterministic:  # else absent: files of runs without it stay as they were
        found["deterministic"] = True
    if start_from:
        found["start_from"] = start_from
    first = [name for name in _ORDER if name in found]
    return {name: found[name] for name in dict.fromkeys([*first, *found])}


def require_same_run(stored: dict[str, Any], wanted: dict[str, Any], source: str) -> None:
    """Raises PretrainError where an entry of `wanted` has another value in the file `source`.

    A file without a record of its options is accepted.
    """
    if stored:
        stored, wanted = ({**_ABSENT, **options} for options in (stored, wanted))
    for name, value in wanted.items():
        if name in stored and stored[name] != value:
            raise PretrainError(
                f"{source} was made with {name} = {stored[name]}, now {value}; "
                "give the same options or another --output"
            )
