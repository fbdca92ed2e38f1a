"""Recipes: Detectron2 config overlays on the keys that we honour, readable without Detectron2.

`defaults.yaml` lists the keys; a recipe names its parent in `_BASE_`; overrides come last. The merge rules
and literals are those of yacs, which Detectron2 uses too. Nothing is ignored: an unknown key is an error.
"""

from __future__ import annotations

import copy
import difflib
import functools
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from yacs.config import CfgNode

from transfer.errors import TransferError
from transfer.recipes.plain_yaml import YamlError, parse_yaml, read_text
from transfer.recipes.values import check_values

RECIPES = Path(__file__).parent

# Facts that belong to the weights: manifest field -> key. A recipe must not set them.
MANIFEST_KEYS = {
    "depth": "MODEL.RESNETS.DEPTH",
    "groups": "MODEL.RESNETS.NUM_GROUPS",
    "width_per_group": "MODEL.RESNETS.WIDTH_PER_GROUP",
    "stem_out_channels": "MODEL.RESNETS.STEM_OUT_CHANNELS",
    "res2_out_channels": "MODEL.RESNETS.RES2_OUT_CHANNELS",
    "stride_in_1x1": "MODEL.RESNETS.STRIDE_IN_1X1",
    "input_format": "INPUT.FORMAT",
    "pixel_mean": "MODEL.PIXEL_MEAN",
    "pixel_std": "MODEL.PIXEL_STD",
}

# The stride placement and pixels of the random-initialised row are not published; torchvision's are used.
RANDOM_MANIFEST: dict[str, Any] = {
    "source": "random",
    "depth": 50,
    "groups": 1,
    "width_per_group": 64,
    "stem_out_channels": 64,
    "res2_out_channels": 256,
    "stride_in_1x1": False,
    "input_format": "RGB",
    "pixel_mean": [123.675, 116.28, 103.53],
    "pixel_std": [58.395, 57.12, 57.375],
}

# What moves no number and so belongs to no identity: how often to save, how many processes read images, and
# the world that a schedule is for (what it moves stands in the batch, the learning rate and the schedule).
NEUTRAL_KEYS = ("SOLVER.CHECKPOINT_PERIOD", "DATALOADER.NUM_WORKERS", "SOLVER.REFERENCE_WORLD_SIZE")


def load_recipe(
    name: str | Path,
    overrides: Iterable[tuple[str, Any]] = (),
    changes: tuple[Mapping[str, Any], str] = ({}, ""),
    smoke: tuple[Mapping[str, Any], str] = ({}, ""),
) -> CfgNode:
    """The resolved recipe: defaults, the `_BASE_` chain, `changes`, `smoke` and the overrides in their order.

    `name` is one of ours ("voc_c4") or a path of a user's YAML. `changes` are a suite's own keys and where
    they stand, `smoke` those of its miniature. Raises TransferError with file and key.
    """
    path = _path(name)
    cfg = _defaults()
    said: dict[str, str] = {}  # key -> who set it last
    layers = [(layer, file.name) for layer, file in _layers(path)]
    for layer, source in [*layers, changes, smoke]:
        for key, value in _flat_layer(layer, source).items():
            _set(cfg, key, value, source)
            said[key] = source
    for key, value in overrides:
        _set(cfg, key, value, "override")
        said[key] = "override"
    check_values(flatten(cfg), path.name, said)
    return cfg


def flatten(tree: Mapping[str, Any]) -> dict[str, Any]:
    """Nested mapping to {"SOLVER.BASE_LR": 0.02, ...}; tuples become lists, as JSON has them."""
    return dict(_pairs(tree))


def _pairs(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in tree.items():
        if isinstance(value, Mapping):
            yield from _pairs(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", list(value) if isinstance(value, tuple) else value


def _flat_layer(layer: Mapping[str, Any], source: str) -> dict[str, Any]:
    """A file's keys, flat. A key may be written nested or with dots, but not both ways at once."""
    flat: dict[str, Any] = {}
    for key, value in _pairs(layer):
        if key in flat:
            raise TransferError(f"{source}: {key} is given twice, nested and with dots; keep one")
        flat[key] = value
    return flat


def unflatten(flat: Mapping[str, Any]) -> CfgNode:
    """The inverse of `flatten`; used to take a resolved recipe out of a record or a cell file."""
    cfg = _defaults()
    for key, value in flat.items():
        _set(cfg, key, value, "resolved recipe")
    return cfg


def apply_manifest(cfg: CfgNode, manifest: Mapping[str, Any], overridden: Iterable[str] = ()) -> CfgNode:
    """A copy of `cfg` with the backbone's own facts: shape, stride placement, channels and pixel statistics.

    `overridden` are the keys that the user set; one that contradicts the weights is an error. The random
    init has no weights to contradict, so there the user's value wins.
    """
    overridden = set(overridden)
    cfg = cfg.clone()
    flat = flatten(cfg)
    for field, key in MANIFEST_KEYS.items():
        if key in overridden and manifest["source"] == "random":
            continue
        if key in overridden and flat[key] != manifest[field]:
            raise TransferError(
                f"override: {key} = {flat[key]} contradicts the manifest of the weights, {manifest[field]}; "
                "it belongs to the weights: convert the checkpoint again with the right value"
            )
        _set(cfg, key, manifest[field], f"manifest field {field}")
    return cfg


def recipe_sha256(cfg: CfgNode) -> str:
    """The recipe's identity: every key that can move a number but those that belong to the weights."""
    left_out = {*NEUTRAL_KEYS, *MANIFEST_KEYS.values()}
    moving = {key: value for key, value in flatten(cfg).items() if key not in left_out}
    return hashlib.sha256(json.dumps(moving, sort_keys=True).encode()).hexdigest()


def keys_of_user(name: str | Path) -> set[str]:
    """The keys that a user's recipe files set; ours are not among them."""
    own = [layer for layer, file in _layers(_path(name)) if file.resolve().parent != RECIPES.resolve()]
    return {key for layer in own for key in flatten(layer)}


def _path(name: str | Path) -> Path:
    return Path(name) if str(name).endswith((".yaml", ".yml")) else RECIPES / f"{name}.yaml"


def _layers(path: Path) -> list[tuple[dict[str, Any], Path]]:
    """The `_BASE_` chain, oldest first, each layer with the file it came from."""
    chain: list[tuple[dict[str, Any], Path]] = []
    seen: set[Path] = set()
    current: Path | None = path
    while current is not None:
        if current.resolve() in seen:
            raise TransferError(f"recipe {path}: _BASE_ leads back to {current}; remove the cycle")
        seen.add(current.resolve())
        layer = _read_yaml(current)
        base = layer.pop("_BASE_", None)
        chain.append((layer, current))
        current = None if base is None else _base(current, str(base))
    return chain[::-1]


def _base(path: Path, base: str) -> Path:
    """The file that `_BASE_` in `path` names: one beside it, or one of ours, with or without its ending."""
    beside = path.parent / base
    return beside if beside.is_file() else RECIPES / f"{base.removesuffix('.yaml')}.yaml"


# A plan reads the same few files a hundred times, and YAML is slow to parse.
_parsed = functools.lru_cache(maxsize=64)(parse_yaml)


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        content = copy.deepcopy(_parsed(read_text(path)))
    except FileNotFoundError:
        known = sorted(p.stem for p in RECIPES.glob("*.yaml") if p.stem != "defaults")
        raise TransferError(f"recipe {path} does not exist; ours are {', '.join(known)}") from None
    except OSError as error:
        raise TransferError(f"recipe {path} cannot be read: {error.strerror}") from None
    except YamlError as error:
        raise TransferError(f"recipe {path} cannot be read: {error}") from None
    if not isinstance(content, dict):
        raise TransferError(f"recipe {path}: expected KEY: value lines, got {type(content).__name__}")
    return content


def _defaults() -> CfgNode:
    return CfgNode(_read_yaml(RECIPES / "defaults.yaml"))


@functools.lru_cache(maxsize=1)
def _known() -> dict[str, Any]:
    """Every key with its default; recipes change values, never keys."""
    return flatten(_defaults())


def _set(cfg: CfgNode, key: str, value: Any, source: str) -> None:
    """Sets one dotted key by yacs' rules (literals from text, list for tuple, int for float)."""
    known = _known()
    if key not in known:
        near = difflib.get_close_matches(key, known, n=3, cutoff=0.6)
        hint = (
            f"did you mean {' or '.join(near)}?" if near else "transfer/recipes/defaults.yaml lists the keys"
        )
        raise TransferError(f"{source}: unknown key {key}; {hint}")
    expected = type(known[key])
    if expected is float and isinstance(value, str):  # yacs reads "1" as int and then refuses it for a float
        value = _number(value)
    if expected is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    try:
        if value in (None, "None"):  # to yacs it is of every type
            raise ValueError
        cfg.merge_from_list([key, value])
    except (ValueError, AssertionError):
        raise TransferError(
            f"{source}: {key} expects {expected.__name__} like {flatten(cfg)[key]!r}, got {value!r:.100}"
        ) from None


def _number(text: str) -> Any:
    try:
        return float(text)
    except ValueError:
        return text
