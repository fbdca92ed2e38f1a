"""Suites: a few plain lines of YAML each, checked on reading."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from benchmarks.errors import UsageError

SUITES = Path(__file__).parent / "suites"
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


def load_suite(name: str) -> Suite:
    """The suite of that name; UsageError with the nearest names for an unknown one."""
    if name not in suite_names():
        near = difflib.get_close_matches(name, suite_names(), n=3, cutoff=0.4) or suite_names()
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
    return Suite(**content)
