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
    """The seeds of a row: one where nothing differs by them, as in an exact probe of one file of weights."""
    found = seeds(draft.suite, draft.request)
    return found[:1] if _is_exact(draft) and _has_one_file(init) else found


def all_seeds(drafts: Sequence[Draft]) -> list[int]:
    """The seeds of the trials of all suites."""
    return sorted({seed for draft in drafts for seed in seeds(draft.suite, draft.request)})


def _has_one_file(init: Init) -> bool:
    return init.backbone is not None and not init.by_seed


def _is_exact(draft: Draft) -> bool:
    probe = draft.recipe.cfg.PROBE
    return probe.NAME in PROBES and exact(probe.NAME, probe.HEAD)


def told_of_trials(drafts: Sequence[Draft], inits: Sequence[Init]) -> list[str]:
    """Lines on suites whose rows get fewer trials than were asked for, or one where a row has many files."""
    once = [init.label for init in inits if _has_one_file(init)]
    several = [init.label for init in inits if init.by_seed]
    lines = []
    for draft in drafts:
        name, wanted = draft.suite.name, seeds(draft.suite, draft.request)
        if once and _is_exact(draft) and len(wanted) > 1:
            lines.append(
                f"{name}: one trial of {', '.join(once)}: {draft.recipe.cfg.PROBE.NAME} draws nothing by "
                "a trial's seed, so every other would be the same number"
            )
        if several and len(wanted) == 1:
            lines.append(
                f"{name}: one trial of {', '.join(several)}, the file of seed {wanted[0]}: --trials N takes "
                "N pre-trainings"
            )
    return lines
