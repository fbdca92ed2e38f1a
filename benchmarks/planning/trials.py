"""Gives each row of a suite its trials: a seed each, and one where nothing is drawn by it."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.errors import UsageError
from benchmarks.planning.foresight import Draft
from benchmarks.planning.inits import Init
from benchmarks.planning.request import SEEDS, TUNING_SEED, Request
from benchmarks.planning.suite_file import Suite
from transfer.recipes.frozen import PROBES, exact


def seeds(suite: Suite, request: Request) -> list[int]:
    """One seed per trial; UsageError where they pass the last one."""
    trials = request.trials or (1 if request.smoke else suite.trials)
    last = TUNING_SEED - 1 if request.tune else SEEDS - 1
    if request.seed + trials - 1 > last:
        raise UsageError(f"--seed {request.seed}: with {trials} trials seeds pass {last}; begin lower")
    return [request.seed + trial for trial in range(trials)]


def seeds_of(draft: Draft, init: Init) -> list[int]:
    """The seeds of a row: one where it draws nothing by them, as an exact probe of given weights."""
    found = seeds(draft.suite, draft.request)
    return found[:1] if _is_exact(draft) and init.backbone is not None else found


def _is_exact(draft: Draft) -> bool:
    probe = draft.recipe.cfg.PROBE
    return probe.NAME in PROBES and exact(probe.NAME, probe.HEAD)


def told_of_trials(drafts: Sequence[Draft], inits: Sequence[Init]) -> list[str]:
    """Lines on suites whose rows get fewer trials than were asked for."""
    once = [init.label for init in inits if init.backbone is not None]
    return [
        f"{draft.suite.name}: one trial of {', '.join(once)}: {draft.recipe.cfg.PROBE.NAME} draws nothing by "
        "a trial's seed, so every other would be the same number"
        for draft in drafts
        if once and _is_exact(draft) and len(seeds(draft.suite, draft.request)) > 1
    ]
