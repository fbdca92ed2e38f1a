"""Resolves recipes: Detectron2 config overlays on the keys that we honour, readable without Detectron2.

`defaults.yaml` lists the keys; a recipe names its parent in `_BASE_`; overrides come last. The merge rules
and literals are those of yacs, which Detectron2 uses too. Nothing is ignored: an unknown key is an error.
"""

from __future__ import annotations

import difflib
import functools
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from yacs.config import CfgNode

from transfer.errors import TransferError
from transfer.recipes.architectures import ARCHITECTURES, NAMED_BY, Architecture, architecture_of
from transfer.recipes.facts_of_weights import RANDOM_MANIFEST, family_in, manifest_keys
from transfer.recipes.fitting import check_weights
from transfer.recipes.flat import Pairs, flatten, listed, tree_of
from transfer.recipes.own import OWN
from transfer.recipes.plain_yaml import YamlError, parse_yaml, read_text
from transfer.recipes.values import check_values

__all__ = [
    "RANDOM_MANIFEST",
    "RECIPES",
    "apply_manifest",
    "flatten",
    "keys_of_user",
    "load_recipe",
    "unflatten",
]

RECIPES = Path(__file__).parent


def load_recipe(
    name: str | Path,
    overrides: Iterable[tuple[str, Any]] = (),
    changes: tuple[Mapping[str, Any], str] = ({}, ""),
    smoke: tuple[Mapping[str, Any], str] = ({}, ""),
) -> CfgNode:
    """Resolves a recipe: defaults, the `_BASE_` chain, `changes`, `smoke` and the overrides in their order.

    `name` is one of ours ("voc_c4") or a path of a user's YAML. `changes` are a suite's own keys and where
    they stand, `smoke` those of its miniature. Raises TransferError with file and key.
    """
    path = _path(name)
    flat = dict(known())
    said: dict[str, str] = {}  # key -> who set it last
    layers = [(pairs, file.name) for pairs, file in _layers(path)]
    layers += [(listed(layer), source) for layer, source in (changes, smoke)]
    for pairs, source in layers:
        for key, value in _once(pairs, source).items():
            flat[key] = _value(flat, key, value, source)
            said[key] = source
    for key, value in overrides:
        flat[key] = _value(flat, key, value, "override")
        said[key] = "override"
    check_values(flat, path.name, said)
    row = architecture_of(flat)
    _refuse_foreign((key for key, source in said.items() if source == "override"), row, row.foreign_to_kin)
    return tree_of(flat)


def _once(pairs: Iterable[tuple[str, Any]], source: str) -> dict[str, Any]:
    """Returns the keys of a layer. One may be written nested or with dots, but not both ways at once."""
    flat: dict[str, Any] = {}
    for key, value in pairs:
        if key in flat:
            raise TransferError(f"{source}: {key} is given twice, nested and with dots; keep one")
        flat[key] = value
    return flat


def unflatten(flat: Mapping[str, Any]) -> CfgNode:
    """Inverts `flatten`, to take a resolved recipe out of a record or a cell file."""
    complete = dict(known())
    for key, value in flat.items():
        complete[key] = _value(complete, key, value, "resolved recipe")
    return tree_of(complete)


def apply_manifest(cfg: CfgNode, manifest: Mapping[str, Any], overridden: Iterable[str] = ()) -> CfgNode:
    """Returns a copy of `cfg` with the backbone's own facts: shape, stride placement, channels, pixels.

    `overridden` are the keys that the user set; one that contradicts the weights is an error. The random
    init has no weights to contradict, so there the user's value wins. Where an architecture stands on several
    families, the recipe becomes one of the weights' family; weights of another family are an error.
    """
    overridden = set(overridden)
    flat = flatten(cfg)
    row = _fitting(flat, manifest, overridden)
    flat[NAMED_BY] = row.named[NAMED_BY][0]
    _refuse_foreign(overridden, row, row.foreign)
    for key, values in row.of_weights.items():
        if flat[key] not in values:
            raise TransferError(
                f"{key} is {flat[key]!r}; of the weights of a {row.family.name} there is "
                f"{' or '.join(map(repr, values))}"
            )
    manifest = {**{field: row.family.random[field] for field in row.family.later}, **manifest}
    for field, key in manifest_keys(row.family).items():
        if field not in manifest:
            raise TransferError(
                f"the manifest of the weights states no {field}, and those of a {row.family.name} do: "
                "convert the checkpoint again"
            )
        if key in overridden and manifest["source"] == "random":
            continue
        if key in overridden and flat[key] != manifest[field]:
            raise TransferError(
                f"override: {key} = {flat[key]} contradicts the manifest of the weights, {manifest[field]}; "
                "it belongs to the weights: convert the checkpoint again with the right value"
            )
        flat[key] = _value(flat, key, manifest[field], f"manifest field {field}")
    if "family" in manifest:  # its facts may be of another row's rules
        check_values(flat, "the recipe with the facts of the weights")
        check_weights(flat)
    return tree_of(flat)


def _fitting(flat: Mapping[str, Any], manifest: Mapping[str, Any], overridden: set[str]) -> Architecture:
    """Returns the row that takes weights with this manifest: the recipe's, or one of its kin."""
    row, family = architecture_of(flat), family_in(manifest)
    found = next((one for one in _takers_of(row) if one.family is family), None)
    if found is None:
        name = family.name if family else str(manifest["family"])
        takers = _takers(name)
        raise TransferError(
            f"the weights are those of a {name}, the recipe is for a "
            f"{' or a '.join(one.family.name for one in row.kin if one.family is not OWN)}; "
            + (f"a {name} goes into {', '.join(takers)}" if takers else f"no recipe of ours takes a {name}")
        )
    if found is not row and NAMED_BY in overridden:
        raise TransferError(
            f"override: {NAMED_BY} = {flat[NAMED_BY]} contradicts the manifest of the weights, which are "
            f"those of a {found.family.name}; leave it out"
        )
    return found


def _takers_of(row: Architecture) -> list[Architecture]:
    """Lists the rows that a recipe of this row may become by its weights: its kin, then its guests."""
    return [*row.kin, *(one for one in ARCHITECTURES.values() if row.name in one.guest_of)]


def _takers(family: str) -> list[str]:
    """Returns the names of our recipes that can be trained from weights of a family."""
    families = {row.name: {one.family.name for one in _takers_of(row)} for row in ARCHITECTURES.values()}
    recipes = {path.stem: load_recipe(path.stem) for path in sorted(RECIPES.glob("*.yaml"))}
    return [
        name
        for name, cfg in recipes.items()
        if cfg.DATASETS.TRAIN and family in families[architecture_of(flatten(cfg)).name]
    ]


def _refuse_foreign(overridden: Iterable[str], row: Architecture, foreign: tuple[str, ...]) -> None:
    """Refuses a user's key of a family that the recipe does not stand on: it would move nothing."""
    key = next((key for key in sorted(overridden) if key.startswith(foreign)), None)
    if key:
        raise TransferError(
            f"override: {key} belongs to another kind of backbone, and this one is a {row.family.name}, "
            f"whose keys begin with {row.family.section}; leave it out"
        )


def keys_of_user(name: str | Path) -> set[str]:
    """Returns the keys that a user's recipe files set; ours are not among them."""
    own = [pairs for pairs, file in _layers(_path(name)) if file.resolve().parent != RECIPES.resolve()]
    return {key for pairs in own for key, _ in pairs}


def _path(name: str | Path) -> Path:
    return Path(name) if str(name).endswith((".yaml", ".yml")) else RECIPES / f"{name}.yaml"


def _layers(path: Path) -> list[tuple[Pairs, Path]]:
    """Reads the `_BASE_` chain, oldest first, each layer with the file it came from."""
    chain: list[tuple[Pairs, Path]] = []
    seen: set[str] = set()
    current: Path | None = path
    while current is not None:
        place = os.path.abspath(current)  # without a look at the disk, which would be half of a plan's time
        if place in seen:
            raise TransferError(f"recipe {path}: _BASE_ leads back to {current}; remove the cycle")
        seen.add(place)
        base, pairs = _read_layer(current)
        chain.append((pairs, current))
        current = None if base is None else _base(current, str(base))
    return chain[::-1]


def _base(path: Path, base: str) -> Path:
    """Finds the file that `_BASE_` in `path` names: one beside it, or one of ours, with its ending or not."""
    beside = path.parent / base
    return beside if beside.is_file() else RECIPES / f"{base.removesuffix('.yaml')}.yaml"


# A plan reads the same few files a hundred times, and YAML is slow to parse.
@functools.lru_cache(maxsize=64)
def _parsed(text: str) -> tuple[type, Any, Pairs]:
    """Returns (type of the content, its `_BASE_`, its other keys); shared, so not to be changed."""
    content = parse_yaml(text)
    if not isinstance(content, dict):
        return type(content), None, []
    others = {key: value for key, value in content.items() if key != "_BASE_"}
    return dict, content.get("_BASE_"), listed(others)


def _read_layer(path: Path) -> tuple[Any, Pairs]:
    """Reads the `_BASE_` of a recipe's file, and its keys."""
    try:
        kind, base, pairs = _parsed(read_text(path))
    except FileNotFoundError:
        known = sorted(p.stem for p in RECIPES.glob("*.yaml") if p.stem != "defaults")
        near = difflib.get_close_matches(path.stem, known, n=5, cutoff=0.4) or known
        raise TransferError(f"recipe {path} does not exist; nearest: {', '.join(near)}") from None
    except OSError as error:
        raise TransferError(f"recipe {path} cannot be read: {error.strerror}") from None
    except YamlError as error:
        raise TransferError(f"recipe {path} cannot be read: {error}") from None
    if kind is not dict:
        raise TransferError(f"recipe {path}: expected KEY: value lines, got {kind.__name__}")
    return base, pairs


@functools.lru_cache(maxsize=1)
def known() -> dict[str, Any]:
    """Every key with its default; recipes change values, never keys."""
    return dict(_read_layer(RECIPES / "defaults.yaml")[1])


def _value(flat: Mapping[str, Any], key: str, value: Any, source: str) -> Any:
    """Returns the value that a layer or the user gives a key, by yacs' rules.

    Text is read as a literal, a tuple becomes the list that the key expects, a whole number its float.
    """
    keys = known()
    if key not in keys:
        near = difflib.get_close_matches(key, keys, n=3, cutoff=0.6)
        hint = (
            f"did you mean {' or '.join(near)}?" if near else "transfer/recipes/defaults.yaml lists the keys"
        )
        raise TransferError(f"{source}: unknown key {key}; {hint}")
    expected = type(keys[key])
    if type(value) is expected and expected is not str:  # nothing to read or to turn into anything
        return value
    if expected is float and isinstance(value, str):  # yacs reads "1" as int and then refuses it for a float
        value = _number(value)
    if expected is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    try:
        if value in (None, "None"):  # to yacs it is of every type
            raise ValueError
        return _literal(expected, value) if isinstance(value, str) else _merged(expected, value)
    except (ValueError, AssertionError):
        raise TransferError(
            f"{source}: {key} expects {expected.__name__} like {flat[key]!r}, got {value!r:.100}"
        ) from None


def _merged(expected: type, value: Any) -> Any:
    """Merges `value` by yacs over one of the expected type; ValueError where it refuses."""
    one = CfgNode({"value": expected()})
    one.merge_from_list(["value", value])
    return one.value


# Of text; recipes repeat the same few names.
_literal: Callable[[type, str], Any] = functools.lru_cache(maxsize=1024)(_merged)


def _number(text: str) -> Any:
    try:
        return float(text)
    except ValueError:
        return text
