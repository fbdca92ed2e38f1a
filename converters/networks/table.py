"""Lists the known families, and joins all their dialects in one dictionary. A new family is one more row."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from converters.errors import CheckpointError
from converters.networks.convnext import CONVNEXT
from converters.networks.family import Dialect, Family
from converters.networks.resnet import RESNET
from converters.networks.swin import SWIN
from converters.networks.vit import VIT

FAMILIES: tuple[Family, ...] = (RESNET, VIT, CONVNEXT, SWIN)
# Manifests had no `family` while there was one only: those without the key are of this one, for ever.
UNNAMED = RESNET

Word = tuple[Family, Dialect, str]  # whose word it is, and which of our names it means


def family_of(manifest: Mapping[str, Any]) -> Family:
    """The family that a manifest names. CheckpointError if it is not known here."""
    if "family" not in manifest:
        return UNNAMED
    named = {family.name: family for family in FAMILIES if family is not UNNAMED}
    found = manifest["family"]
    if type(found) is not str or found not in named:
        expected = ", ".join([*named, f"no such key for a {UNNAMED.title}"])
        raise CheckpointError(f"backbone manifest: family {found!r:.60} is not known; expected {expected}")
    return named[found]


def named(family: Family) -> dict[str, str]:
    """The manifest's entry for the family: none for the one that is meant without it."""
    return {} if family is UNNAMED else {"family": family.name}


def words(separator: str) -> Mapping[str, tuple[Word, ...]]:
    """All vocabularies whose names are joined by `separator` in one: a name -> who uses it, and for what."""
    return _words(FAMILIES, separator)


def longest_word(separator: str) -> int:
    """The most segments that a name of any dialect has."""
    return _longest_word(FAMILIES, separator)


def renamed(separator: str) -> tuple[tuple[str, str], ...]:
    """(old, new) segments of all dialects whose names are joined by `separator`."""
    return tuple(pair for _, d in _dialects(FAMILIES, separator) for pair in d.renamed)


@cache
def _dialects(families: tuple[Family, ...], separator: str) -> tuple[tuple[Family, Dialect], ...]:
    return tuple((f, d) for f in families for d in f.dialects if d.separator == separator)


@cache
def _words(families: tuple[Family, ...], separator: str) -> dict[str, tuple[Word, ...]]:
    merged: dict[str, tuple[Word, ...]] = {}
    for family, dialect in _dialects(families, separator):
        for foreign, ours in dialect.vocabulary().items():
            merged[foreign] = (*merged.get(foreign, ()), (family, dialect, ours))
    return merged


@cache
def _longest_word(families: tuple[Family, ...], separator: str) -> int:
    return 1 + max((word.count(separator) for word in _words(families, separator)), default=0)


@cache
def roots(dialect: Dialect) -> frozenset[str]:
    """The first segments of a dialect's names: what starts with one lies inside the network."""
    return frozenset(word.replace("/", ".").split(".")[0] for word in dialect.vocabulary())
