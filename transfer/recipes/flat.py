"""Turns recipes from nested to flat, {"SOLVER.BASE_LR": 0.02, ...}, and back."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

from yacs.config import CfgNode

Pairs = list[tuple[str, Any]]  # a layer: dotted key, value


def flatten(tree: Mapping[str, Any]) -> dict[str, Any]:
    """Turns a nested mapping into {"SOLVER.BASE_LR": 0.02, ...}; tuples become lists, as JSON has them."""
    return dict(listed(tree))


def listed(tree: Mapping[str, Any], prefix: str = "") -> Pairs:
    """Lists the keys of a nested mapping as they stand; a key that is there twice is listed twice."""
    found: Pairs = []
    for key, value in tree.items():
        if isinstance(value, dict):
            found += listed(value, f"{prefix}{key}.")
        else:
            found.append((f"{prefix}{key}", _without_tuples(value)))
    return found


def _without_tuples(value: Any) -> Any:
    """Makes lists of a tuple and of those in it, as Detectron2's boxes of a cascade are."""
    return [_without_tuples(one) for one in value] if isinstance(value, tuple) else value


def tree_of(flat: Mapping[str, Any]) -> CfgNode:
    """Makes nested nodes of a flat recipe; lists are copied, for whoever gets a recipe may change it."""
    nodes = {"": _node()}
    for (section, name), value in zip(_split(tuple(flat)), flat.values(), strict=True):
        if section not in nodes:
            _add_section(nodes, section)
        nodes[section][name] = _copied(value) if type(value) is list else value
    return nodes[""]


@functools.lru_cache(maxsize=8)  # all recipes have the same keys
def _split(keys: tuple[str, ...]) -> list[tuple[str, str]]:
    """(section, name) of every key."""
    return [(section, name) for section, _, name in (key.rpartition(".") for key in keys)]


def _add_section(nodes: dict[str, CfgNode], section: str) -> None:
    above, _, name = section.rpartition(".")
    if above not in nodes:
        _add_section(nodes, above)
    nodes[section] = nodes[above][name] = _node()


_EMPTY = CfgNode()


def _node() -> CfgNode:
    """Makes an empty node, without the copy that CfgNode's constructor makes: most of the time of a plan."""
    node = CfgNode.__new__(CfgNode)
    node.__dict__.update(_EMPTY.__dict__)
    return node


def _copied(value: Any) -> Any:
    return [_copied(item) for item in value] if isinstance(value, list) else value
