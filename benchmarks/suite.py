"""Suites: a few plain lines of YAML each, checked on reading."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from benchmarks.errors import UsageError

SUITES = Path(__file__).parent / "suites"
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
FIELDS: dict[str, tuple[type, ...]] = {
    "name": (str,),
    "version": (int,),
    "recipe": (str,),
    "reference": (str,),
    "primary": (str,),
    "metrics": (list,),
    "trials": (int,),
    "smoke": (dict,),
}


@dataclass(frozen=True)
class Suite:
    """One comparison: a recipe (which names its data sets), what counts, and the table that it reproduces."""

    name: str
    version: int
    recipe: str
    reference: str
    primary: str
    metrics: list[str]
    trials: int
    smoke: dict[str, Any]  # overrides that make the miniature


def suite_names() -> list[str]:
    """The names of our suites."""
    return sorted(path.stem for path in SUITES.glob("*.yaml"))


def load_suites(names: Sequence[str]) -> list[Suite]:
    """The suites of these names and groups, each once."""
    return [load_suite(n) for n in dict.fromkeys(n for name in names for n in GROUPS.get(name, [name]))]


def load_suite(name: str) -> Suite:
    """The suite of that name; UsageError with the nearest names for an unknown one."""
    if name not in suite_names():
        known = [*suite_names(), *GROUPS]
        near = difflib.get_close_matches(name, known, n=3, cutoff=0.4) or known
        raise UsageError(f"--suite {name}: no such suite; nearest: {', '.join(near)} (see --list)")
    return read_suite(SUITES / f"{name}.yaml")


def read_suite(path: Path) -> Suite:
    """A suite file; UsageError with file and field."""
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    if not isinstance(content, dict) or set(content) != set(FIELDS):
        got = sorted(content) if isinstance(content, dict) else type(content).__name__
        raise UsageError(f"suite {path}: expected exactly the fields {', '.join(FIELDS)}; got {got}")
    for field, types in FIELDS.items():
        if not isinstance(content[field], types):
            raise UsageError(f"suite {path}: {field} is {content[field]!r}; expected a {types[0].__name__}")
    return Suite(**content | {"smoke": _smoke(content["smoke"], path)})


def _smoke(own: dict[str, Any], path: Path) -> dict[str, Any]:
    """A suite's miniature: the shared one that `_BASE_` names, overlaid by the suite's own keys."""
    own = dict(own)
    base = own.pop("_BASE_", None)
    if base is None:
        return own
    file = SMOKE / f"{base}.yaml"
    if not file.is_file():
        known = ", ".join(sorted(f.stem for f in SMOKE.glob("*.yaml")))
        raise UsageError(f"suite {path}: smoke _BASE_ {base!r} does not exist; ours are {known}")
    return yaml.safe_load(file.read_text(encoding="utf-8")) | own
