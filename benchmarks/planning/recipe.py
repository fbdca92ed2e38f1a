"""A suite's recipe as it will run: its own keys, the miniature, the overrides and the scaling on top."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from yacs.config import CfgNode

from benchmarks.planning.suite import Suite, miniature
from transfer.recipes.architectures import architecture_of
from transfer.recipes.resolve import flatten, keys_of_user, load_recipe
from transfer.recipes.scaling import Scaling, apply_scaling, plan_scaling


@dataclass(frozen=True)
class Request:
    """What was asked on the command line, beyond suites and inits."""

    trials: int | None  # None: the suite's own number (one for a miniature)
    seed: int
    engine: str
    smoke: bool
    synthetic: bool
    data_root: Path
    num_processes: int
    overrides: list[tuple[str, str]]
    output: Path
    accumulate: bool = False  # keep the recipe's batch by micro-steps, where processes are fewer
    deterministic: bool = False  # ask torch for algorithms that repeat themselves on a GPU


def resolve(suite: Suite, request: Request, label: str = "") -> CfgNode:
    """The recipe of the row `label` after `--smoke`, overrides and scaling, before any backbone's facts."""
    return resolve_named(suite, request, suite.variants.get(label, suite.recipe))[0]


def scaling_of(suite: Suite, request: Request, label: str = "") -> Scaling:
    """How the recipe of the row `label` meets the number of processes."""
    return resolve_named(suite, request, suite.variants.get(label, suite.recipe))[1]


def resolve_named(suite: Suite, request: Request, recipe: str) -> tuple[CfgNode, Scaling]:
    """The recipe of this name or path as it will run for the suite, and how it meets the processes."""
    cfg, said = unscaled(suite, request, recipe), said_by_user(suite, request)
    scaling = plan_scaling(flatten(cfg), request.num_processes, said, request.accumulate)
    return apply_scaling(cfg, scaling, said), scaling


def unscaled(suite: Suite, request: Request, recipe: str) -> CfgNode:
    """The recipe with all that was said of it, for the number of processes that it is written for."""
    changes = (suite.changes, f"{suite.where}: recipe")
    if not request.smoke:
        return load_recipe(recipe, request.overrides, changes)
    shared = architecture_of(flatten(load_recipe(recipe, (), changes))).miniature
    smoke = (miniature(suite, shared), f"{suite.where}: smoke")
    return load_recipe(recipe, request.overrides, changes, smoke)


def said_by_user(suite: Suite, request: Request) -> set[str]:
    """The keys that the user set: on the command line, in a suite or in a recipe of his own."""
    overridden = (key for key, _ in request.overrides)
    return {*overridden, *flatten(suite.changes), *keys_of_user(suite.recipe)}
