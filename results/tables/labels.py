"""Labels the rows of a suite: by their init, and by what differs where several rows have one init."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from results.record import SEED_MARK

SHORT = 8  # characters of a hash or a version that are shown

# The fields of a row's identity that tell apart two rows with one init, and the words shown for them.
TOLD_APART_BY = {
    "suite_version": "suite version",
    "recipe_sha256": "recipe",
    "data_sha256": "data",
    "engine": "engine",
    "engine_version": "engine version",
    "backbone_sha256": "weights",
    "checkpoints": "weights by seed",
    "tune": "tuning budget",
    "limit": "test images",
    "evaluates": "evaluated only",
}


def labels(rows: Sequence[tuple[str, Mapping[str, Any]]]) -> list[str]:
    """The label of each row, which is given as (init, identity): "moco", "moco [recipe 1a2b3c4d]".

    Rows of different identities have different labels.
    """
    by_init: dict[str, list[Mapping[str, Any]]] = {}
    for init, identity in rows:
        by_init.setdefault(init, []).append(identity)
    differing = {init: _differing(identities) for init, identities in by_init.items()}
    made = [_label(init, identity, differing[init], SHORT) for init, identity in rows]
    if len(set(made)) < len(made):  # two that begin alike
        return [_label(init, identity, differing[init], None) for init, identity in rows]
    return made


def _differing(identities: Sequence[Mapping[str, Any]]) -> list[str]:
    names = dict.fromkeys(TOLD_APART_BY) | dict.fromkeys(name for one in identities for name in one)
    return [name for name in names if len({str(one.get(name)) for one in identities}) > 1]


def _label(init: str, identity: Mapping[str, Any], differing: Sequence[str], length: int | None) -> str:
    parts = [
        f"{TOLD_APART_BY.get(name, name)} {_short(identity[name], length)}"
        for name in differing
        if identity.get(name) is not None
    ]
    return f"{init} [{', '.join(parts)}]" if parts else init


def _short(value: object, length: int | None) -> str:
    """The start of a hash, or of each where some are joined by +; words and patterns of files stay whole."""
    text = str(value)
    return text if " " in text or SEED_MARK in text else "+".join(part[:length] for part in text.split("+"))
