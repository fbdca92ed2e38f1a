"""Lists the suites whose cells leave files of predictions."""

from __future__ import annotations

from benchmarks.planning.labelled import is_probe
from benchmarks.planning.suite import load_suite, suite_names
from transfer.recipes.resolve import flatten, load_recipe


def trained_suites() -> list[str]:
    """The names of our suites but those of frozen features, which are scored where they are probed."""
    return [name for name in suite_names() if not is_probe(flatten(load_recipe(load_suite(name).recipe)))]
