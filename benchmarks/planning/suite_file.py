"""Reads and checks a suite's file: a few plain lines of YAML, ours or the user's."""

from __future__ import annotations

import copy
import difflib
import functools
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.errors import UsageError
from benchmarks.planning.request import TRIALS
from converters.networks.sizes import LIKE, RANDOM
from transfer.datasets.image_list.own import is_labelled
from transfer.recipes.frozen import DISCOVERY
from transfer.recipes.plain_yaml import YamlError, parse_yaml, read_text

SUITES = Path(__file__).parents[1] / "suites"
SMOKE = SUITES / "smoke"  # miniatures that several suites share
# Ours have all of REQUIRED and DEFAULTED; a user's file needs the first three lines only.
REQUIRED: dict[str, tuple[type, ...]] = {"name": (str,), "recipe": (str, dict), "primary": (str,)}
DEFAULTED: dict[str, tuple[type, ...]] = {
    "version": (int,),
    "reference": (str,),
    "metrics": (list,),
    "trials": (int,),
    "smoke": (dict,),
}
OPTIONAL: dict[str, tuple[type, ...]] = {"datasets": (dict,), "variants": (dict,)}
FIELDS = REQUIRED | DEFAULTED | OPTIONAL
# A suite of ours says in which groups it is, and where; a user's copy of it is in none.
OURS: dict[str, tuple[type, ...]] = {"groups": (dict,)}
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")  # it becomes a folder
MOST = {"version": 10**9, "trials": TRIALS}
_METRIC = re.compile(r"[a-z_]+/[A-Za-z0-9_]+")


@dataclass(frozen=True)
class Suite:
    """One comparison: a recipe (which names its data sets), what counts, and the table that it reproduces."""

    name: str
    version: int
    recipe: str  # one of ours, or the path of a user's
    reference: str
    primary: str
    metrics: list[str]
    trials: int
    smoke: dict[str, Any] | None  # overrides that make the miniature; None: those of the architecture
    changes: dict[str, Any] = field(default_factory=dict)  # the suite's own keys on top of its recipe
    datasets: dict[str, Any] = field(default_factory=dict)  # the user's own, as written
    file: Path = Path()
    variants: dict[str, str] = field(default_factory=dict)  # label of an init -> its own recipe
    groups: dict[str, int] = field(default_factory=dict)  # group -> place in it, lowest first

    @property
    def where(self) -> str:
        """The beginning of an error about it."""
        return f"suite {self.file}"

    def recipe_of(self, label: str) -> str:
        """The name of the recipe of the row with this label."""
        return self.variant_of(label) or self.recipe

    def variant_of(self, label: str) -> str:
        """The recipe of its own that the row has, if any; random rows of any shape have that of `random`."""
        shaped = label.startswith((LIKE, RANDOM))
        name = "random" if shaped and label not in self.variants else label
        return self.variants.get(name, "")


def read_suite(path: Path) -> Suite:
    """Reads a suite's file; UsageError with file and field."""
    content = _read(path)
    known = FIELDS | OURS
    unknown, missing = set(content) - set(known), set(REQUIRED) - set(content)
    if unknown or missing:
        what = [f"{name} is missing" for name in sorted(missing)]
        for name in sorted(map(str, unknown)):
            near = difflib.get_close_matches(name, FIELDS, n=1)
            what.append(f"{name} is unknown{f' (did you mean {near[0]}?)' if near else ''}")
        raise UsageError(f"suite {path}: {', '.join(what)}; the fields are {', '.join(FIELDS)}")
    for name, value in content.items():
        if not isinstance(value, known[name]) or isinstance(value, bool):
            expected = " or a ".join(_WORDS[t] for t in known[name])
            raise UsageError(f"suite {path}: {name} is {value!r}; expected a {expected}")
    _check_values(content, path)
    recipe, changes = _recipe(content["recipe"], path)
    changes = _on_its_only_set(content.get("datasets", {}), recipe) | changes
    return Suite(
        name=content["name"],
        version=content.get("version", 1),
        recipe=recipe,
        reference=content.get("reference", f"written by the user in {path.name}"),
        primary=content["primary"],
        metrics=content.get("metrics", [content["primary"]]),
        trials=content.get("trials", 1),
        smoke=_smoke(content["smoke"], path) if "smoke" in content else None,
        changes=changes,
        datasets=content.get("datasets", {}),
        file=path,
        variants=_variants(content.get("variants", {}), path),
        groups=_groups(content.get("groups", {}), path),
    )


_WORDS = {str: "text", int: "whole number", list: "list", dict: "mapping"}


def _read(path: Path) -> dict[str, Any]:
    try:
        content = parse_yaml(read_text(path))
    except FileNotFoundError:
        raise UsageError(f"--suite {path}: no such file") from None
    except OSError as error:
        raise UsageError(f"--suite {path}: {error.strerror}") from None
    except YamlError as error:
        raise UsageError(f"suite {path}: {error}") from None
    if not isinstance(content, dict):
        raise UsageError(f"suite {path}: expected lines like `name: ...`, got {type(content).__name__}")
    return content


def _check_values(content: Mapping[str, Any], path: Path) -> None:
    if not _NAME.fullmatch(content["name"]):
        name = content["name"]
        raise UsageError(f"suite {path}: name is {name!r:.120}; letters, digits, _ . - only, up to 100")
    for name, most in MOST.items():
        if not 1 <= content.get(name, 1) <= most:
            raise UsageError(f"suite {path}: {name} is {content[name]}; expected 1 to {most}")
    metrics = content.get("metrics", [content["primary"]])
    for metric in [content["primary"], *metrics]:
        if not isinstance(metric, str) or not _METRIC.fullmatch(metric):
            raise UsageError(f"suite {path}: {metric!r} is no metric; expected one like bbox/AP or segm/AP50")
        if metrics.count(metric) > 1:
            raise UsageError(f"suite {path}: metrics has {metric} twice; keep one")
    if content["primary"] not in metrics:
        raise UsageError(f"suite {path}: primary {content['primary']} is not among the metrics")


def _recipe(recipe: str | dict[str, Any], path: Path) -> tuple[str, dict[str, Any]]:
    """(the recipe's name or path, the keys on top of it); a path is relative to the suite's file."""
    changes = dict(recipe) if isinstance(recipe, dict) else {}
    base = changes.pop("_BASE_", None) if isinstance(recipe, dict) else recipe
    if not isinstance(base, str):
        raise UsageError(
            f"suite {path}: recipe has no _BASE_; expected one of ours, as in _BASE_: coco_fpn_1x"
        )
    return _beside(base, path), changes


def _on_its_only_set(datasets: dict[str, Any], recipe: str) -> dict[str, Any]:
    """The keys of a suite with one set of its own: it is learned from and tested on, unless said.

    A set with boxes is not, but by what learns nothing: a detector is not trained on its test.
    """
    if len(datasets) != 1 or not (all(map(is_labelled, datasets.values())) or recipe == DISCOVERY):
        return {}
    return {key: list(datasets) for key in ("DATASETS.TRAIN", "DATASETS.TEST")}


def _variants(variants: dict[str, Any], path: Path) -> dict[str, str]:
    """Label of an init -> the name or path of its recipe."""
    for label, recipe in variants.items():
        if not isinstance(label, str) or not isinstance(recipe, str):
            raise UsageError(f"suite {path}: variants: {label!r} is {recipe!r}; expected label: recipe")
    return {label: _beside(recipe, path) for label, recipe in variants.items()}


def _groups(groups: dict[str, Any], path: Path) -> dict[str, int]:
    for group, place in groups.items():
        if not isinstance(place, int) or isinstance(place, bool):
            raise UsageError(f"suite {path}: groups: {group} is {place!r}; expected its place, a number")
    return groups


def _beside(recipe: str, path: Path) -> str:
    """A recipe's name as it is; its path from that of the suite's file."""
    return str(path.parent / Path(recipe).expanduser()) if recipe.endswith((".yaml", ".yml")) else recipe


def _smoke(own: dict[str, Any], path: Path) -> dict[str, Any]:
    """A suite's miniature: the shared one that `_BASE_` names, overlaid by the suite's own keys."""
    own = dict(own)
    base = own.pop("_BASE_", None)
    if base is None:
        return own
    if base not in [file.stem for file in SMOKE.glob("*.yaml")]:
        known = ", ".join(sorted(f.stem for f in SMOKE.glob("*.yaml")))
        raise UsageError(f"suite {path}: smoke _BASE_ {base!r} does not exist; ours are {known}")
    return shared_miniature(base) | own


def shared_miniature(name: str) -> dict[str, Any]:
    """The keys of one of the miniatures that several suites share."""
    return copy.deepcopy(_shared(name))


@functools.cache  # a list of all suites would parse each a dozen times
def _shared(name: str) -> dict[str, Any]:
    content: dict[str, Any] = parse_yaml(read_text(SMOKE / f"{name}.yaml"))
    return content
