"""Says why a file without a complete network cannot be converted: the kind of network, where it is known."""

from __future__ import annotations

from converters.finding.accounting import Account
from converters.networks.family import Evidence, Family, Refusal, Shapes
from converters.networks.strangers import STRANGERS
from converters.networks.table import FAMILIES


def _sharded(e: Evidence) -> bool:
    flat = any("flat_param" in part for part in e.segments)
    return flat or any("_shard" in name or "ShardedTensor" in name or "DTensor" in name for name in e.foreign)


def _no_convolutions(e: Evidence) -> bool:
    return all(len(shape) < 4 for shape in e.shapes.values())


# Looked at before and after the rows of the family.
FIRST: Refusal = (
    _sharded,
    "a shard of an FSDP or DeepSpeed run: gather the full state dict first (FULL_STATE_DICT, "
    "torch.distributed.checkpoint.format_utils or zero_to_fp32.py)",
)
LAST: Refusal = (_no_convolutions, "no convolutions: a head or linear classifier alone, not a backbone")


def reason(shapes: Shapes, best: Account | None, foreign: tuple[str, ...]) -> str:
    """One line: the kind of network where it is known, and always the difference to the nearest complete one.

    `shapes` are all tensors of the file by name without wrapper segments, `best` is the closest account,
    `foreign` are the names that the pickle asks for.
    """
    if not shapes:
        return "no tensors in this file; expected a checkpoint with a state dict"
    family = best.candidate.family if best else FAMILIES[0]
    evidence = _evidence(shapes, best, foreign)
    kind = next((text for holds, text in rows(family) if holds(evidence)), "")
    difference = best.difference() if best else f"no tensor has a {family.title}'s name"
    return f"{kind} ({difference})" if kind else f"no complete {family.title}: {difference}"


def rows(family: Family) -> tuple[Refusal, ...]:
    """The refusals of a file in which this family came closest; the first that holds is told."""
    return (FIRST, *STRANGERS, *family.refusals, LAST)


def _evidence(shapes: Shapes, best: Account | None, foreign: tuple[str, ...]) -> Evidence:
    segments = frozenset(part for name in shapes for part in name.replace("/", ".").split("."))
    if best is None:
        return Evidence(shapes, segments, {}, (), "", foreign)
    return Evidence(shapes, segments, best.shapes, best.missing, best.candidate.dialect.name, foreign)
