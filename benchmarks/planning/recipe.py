"""Resolves a suite's recipe as it will run: its own keys, the miniature, overrides and scaling on top."""

from __future__ import annotations

from dataclasses import dataclass

from yacs.config import CfgNode

from benchmarks.planning.request import Request
from benchmarks.planning.suite import miniature
from benchmarks.planning.suite_file import Suite
from transfer.recipes.architectures import architecture_of
from transfer.recipes.resolve import flatten, keys_of_user, load_recipe
from transfer.recipes.scaling import Scaling, apply_scaling, plan_scaling


@dataclass(frozen=True)
class Resolved:
    """One recipe of a suite, resolved once for all inits and trials; a backbone's facts come later."""

    written: CfgNode  # at full size, without overrides
    cfg: CfgNode  # as it will run
    scaling: Scaling  # how it meets the number of processes


def resolve(suite: Suite, request: Request, recipe: str) -> Resolved:
    """Resolves the recipe of this name or path for the suite.

    Its miniature must resolve too, asked for or not. Raises TransferError with file and key.
    """
    changes = (suite.changes, f"{suite.where}: recipe")
    written = load_recipe(recipe, (), changes)
    shared = architecture_of(flatten(written)).miniature
    smoke = (miniature(suite, shared), f"{suite.where}: smoke")
    small = load_recipe(recipe, (), changes, smoke)
    cfg = small if request.smoke else written
    if request.overrides:
        cfg = load_recipe(recipe, request.overrides, changes, smoke if request.smoke else ({}, ""))
    said = said_by_user(suite, request)
    scaling = plan_scaling(flatten(cfg), request.num_processes, said, request.accumulate)
    return Resolved(written, apply_scaling(cfg, scaling, said), scaling)


def said_by_user(suite: Suite, request: Request) -> set[str]:
    """The keys that the user set: on the command line, in a suite or in a recipe of his own."""
    overridden = (key for key, _ in request.overrides)
    return {*overridden, *flatten(suite.changes), *keys_of_user(suite.recipe)}
