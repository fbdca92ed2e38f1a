"""Suites: a few plain lines of YAML each, ours or the user's, checked on reading."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.arguments import TRIALS
from benchmarks.errors import UsageError
from transfer.recipes.plain_yaml import YamlError, parse_yaml, read_text

SUITES = Path(__file__).parents[1] / "suites"
SMOKE = SUITES / "smoke"  # miniatures that several suites share
# A group stands for its suites, in this order.
GROUPS = {
    "paper": [
        *("voc_c4", "voc_dc5", "voc07_c4"),
        *("coco_fpn_1x", "coco_fpn_2x", "coco_fpn_6x", "coco_c4_1x", "coco_c4_2x"),
        *("coco_keypoint", "coco_densepose", "lvis"),
        *("cityscapes_instance", "cityscapes_semantic", "voc_semantic"),
    ]
}
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

    @property
    def where(self) -> str:
        return f"suite {self.file}"


def suite_names() -> list[str]:
    """The names of our suites."""
    return sorted(path.stem for path in SUITES.glob("*.yaml"))


def load_suites(names: Sequence[str]) -> list[Suite]:
    """The suites of these names, groups and files, each once; two of one name are an error."""
    suites = [load_suite(n) for n in dict.fromkeys(n for name in names for n in GROUPS.get(name, [name]))]
    seen: dict[str, Suite] = {}
    for suite in suites:
        if suite.name in seen:
            raise UsageError(f"{suite.where}: name {suite.name} is also that of {seen[suite.name].file}")
        seen[suite.name] = suite
    return suites


def load_suite(name: str) -> Suite:
    """The suite of that name or in that file; UsageError with the nearest names for an unknown one."""
    if name.endswith((".yaml", ".yml")):
        suite = read_suite(Path(name))
        if suite.name in suite_names() and not _ours(suite.file):
            raise UsageError(f"{suite.where}: name {suite.name} is one of ours; choose another")
        return suite
    if name not in suite_names():
        known = [*suite_names(), *GROUPS]
        near = difflib.get_close_matches(name, known, n=3, cutoff=0.4) or known
        raise UsageError(
            f"--suite {name}: no such suite; nearest: {', '.join(near)} (see --list); yours is named by its "
            "file, as in my_suite.yaml"
        )
    return read_suite(SUITES / f"{name}.yaml")


def read_suite(path: Path) -> Suite:
    """A suite file; UsageError with file and field."""
    content = _read(path)
    unknown, missing = set(content) - set(FIELDS), set(REQUIRED) - set(content)
    if unknown or missing:
        what = [f"{name} is missing" for name in sorted(missing)]
        for name in sorted(map(str, unknown)):
            near = difflib.get_close_matches(name, FIELDS, n=1)
            what.append(f"{name} is unknown{f' (did you mean {near[0]}?)' if near else ''}")
        raise UsageError(f"suite {path}: {', '.join(what)}; the fields are {', '.join(FIELDS)}")
    for name, value in content.items():
        if not isinstance(value, FIELDS[name]) or isinstance(value, bool):
            expected = " or a ".join(_WORDS[t] for t in FIELDS[name])
            raise UsageError(f"suite {path}: {name} is {value!r}; expected a {expected}")
    _check_values(content, path)
    recipe, changes = _recipe(content["recipe"], path)
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
    )


def miniature(suite: Suite, shared: str) -> dict[str, Any]:
    """The keys that --smoke overrides: the suite's own, or the `shared` ones of its architecture."""
    return _shared(shared) if suite.smoke is None else suite.smoke


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


def _variants(variants: dict[str, Any], path: Path) -> dict[str, str]:
    """Label of an init -> the name or path of its recipe."""
    for label, recipe in variants.items():
        if not isinstance(label, str) or not isinstance(recipe, str):
            raise UsageError(f"suite {path}: variants: {label!r} is {recipe!r}; expected label: recipe")
    return {label: _beside(recipe, path) for label, recipe in variants.items()}


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
    return _shared(base) | own


def _shared(name: str) -> dict[str, Any]:
    content: dict[str, Any] = parse_yaml(read_text(SMOKE / f"{name}.yaml"))
    return content


def written_by_user(suite: Suite) -> bool:
    """Whether it is not one of ours."""
    return not _ours(suite.file)


def _ours(path: Path) -> bool:
    return path.resolve().parent == SUITES.resolve()
