"""Applies the facts that a user may state against the table, and records them in the manifest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

from converters.backbone import Backbone
from converters.errors import CheckpointError
from converters.finding.health import ACCEPTABLE
from converters.finding.patches import with_patches
from converters.networks.family import Family
from converters.networks.table import family_of


@dataclass(frozen=True)
class Overrides:
    """Facts and choices of the user; None leaves a fact to the source's row."""

    # Three numbers in the channel order of input_format, scale 0..255.
    pixel_mean: Sequence[float] | None = None
    pixel_std: Sequence[float] | None = None
    input_format: str | None = None  # "RGB" or "BGR"
    stride_in_1x1: bool | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)  # other stated facts of the family, by their keys
    prefix: str | None = None  # which of several complete networks, as --inspect lists them
    patch_size: int | None = None  # pixels of a side, to which the patches are resized
    accept: Sequence[str] = ()  # names of health checks that may fail

    @staticmethod
    def make(values: Mapping[str, Any]) -> Overrides:
        """Made of keywords. CheckpointError for an unknown name, or a check that cannot be accepted."""
        known = [field.name for field in fields(Overrides)]
        unknown = sorted(set(values) - set(known))
        if unknown:
            raise CheckpointError(f"unknown override {', '.join(unknown)}; expected {', '.join(known)}")
        wishes = Overrides(**values)
        wrong = sorted(set(wishes.accept) - set(ACCEPTABLE))
        if wrong:
            raise CheckpointError(f"--accept {', '.join(wrong)}: unknown; expected {', '.join(ACCEPTABLE)}")
        return wishes


def apply_overrides(backbone: Backbone, wishes: Overrides) -> Backbone:
    """The weights with the stated facts in the manifest, each with a note that says so; not proven yet.

    They are the same but for a kernel whose patches are resized.

    CheckpointError for a fact that networks of this family do not have.
    """
    manifest: dict[str, Any] = dict(backbone.manifest, notes=list(backbone.manifest["notes"]))
    family = family_of(manifest)
    known = {fact.key: fact.usual for fact in family.stated if fact.later} | manifest
    if wishes.stride_in_1x1 is not None and "stride_in_1x1" in wishes.facts:
        raise CheckpointError("stride_in_1x1 was stated twice, as a fact and as an option; keep one")
    stated: dict[str, Any] = {
        "pixel_mean": _floats(wishes.pixel_mean),
        "pixel_std": _floats(wishes.pixel_std),
        "input_format": wishes.input_format,
        "stride_in_1x1": wishes.stride_in_1x1,
        **_of_kind(wishes.facts, family),
    }
    for key, value in stated.items():
        if value is None:
            continue
        if key not in known:
            raise CheckpointError(f"{key} was stated, but a {family.title} has no such fact")
        if value != known[key]:
            manifest["notes"].append(f"{key} stated by the user: {value} instead of {known[key]}")
            manifest[key] = value
    manifest = family.told(manifest)
    stated_so = replace(backbone, manifest=manifest) if manifest != backbone.manifest else backbone
    return stated_so if wishes.patch_size is None else with_patches(stated_so, wishes.patch_size)


def _of_kind(facts: Mapping[str, Any], family: Family) -> dict[str, Any]:
    """Stated facts with the types that the family gives them; texts, as options have them, are read."""
    kinds = {fact.key: fact.kind for fact in family.stated}
    found = {}
    for key, value in facts.items():
        if key not in kinds:
            raise CheckpointError(f"fact {key}: not stated of a {family.title}; expected {', '.join(kinds)}")
        kind = kinds[key]
        try:
            found[key] = {"true": True, "false": False}[str(value).lower()] if kind is bool else kind(value)
        except (KeyError, TypeError, ValueError):
            raise CheckpointError(f"fact {key}: {value!r:.60}; expected {kind.__name__}") from None
    return found


def _floats(values: Sequence[float] | None) -> list[float] | None:
    return None if values is None else [float(value) for value in values]
