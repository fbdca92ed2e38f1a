"""Refuses a suite that will not be able to run, before data are read or anything is trained.

Its recipes and its miniature must resolve, their data sets must be annotated for their heads, and the metrics
that it names must be among those that a run will yield.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from benchmarks.errors import UsageError
from benchmarks.planning.labelled import Labelled, check_probe, is_probe, labelled_sets
from benchmarks.planning.own_data import check_tasks, own_datasets
from benchmarks.planning.recipe import Resolved, resolve
from benchmarks.planning.request import Request
from benchmarks.planning.suite_file import Suite
from transfer.datasets.coco import reader as coco
from transfer.datasets.coco.own import OwnDataset
from transfer.errors import DataError, TransferError
from transfer.evaluation.names import evaluator_of, metrics_of
from transfer.recipes.architectures import architecture_of
from transfer.recipes.demands import HEADS
from transfer.recipes.resolve import flatten

Own = Mapping[str, OwnDataset]


@dataclass(frozen=True)
class Draft:
    """A suite that can run: its recipes are resolved and checked, its data and inits not looked at yet."""

    suite: Suite
    request: Request
    recipes: Mapping[str, Resolved]  # the suite's own and those of its variants, by name
    own: Mapping[str, OwnDataset]  # the user's data sets
    labelled: Labelled  # the user's sets of labelled images, or drawn stand-ins
    notes: list[str]  # what is odd about it, a line each

    @property
    def recipe(self) -> Resolved:
        """The suite's own recipe, that of every row without a variant."""
        return self.recipes[self.suite.recipe]

    def recipe_of(self, label: str) -> Resolved:
        """The recipe of the row with this label."""
        return self.recipes[self.suite.recipe_of(label)]


def foresee(suite: Suite, request: Request) -> Draft:
    """Resolves the recipes of a suite, each once, and checks all that needs no data.

    Raises UsageError, TransferError or DataError for one that cannot run, or that could not be scored.
    """
    if request.synthetic and suite.datasets:
        raise UsageError(f"{suite.where}: --data synthetic makes public data sets, not its own; leave it out")
    recipes: dict[str, Resolved] = {}
    own: Own = {}
    labelled: Labelled = {}
    notes: list[str] = []
    for name in dict.fromkeys([suite.recipe, *suite.variants.values()]):
        recipes[name] = resolve(suite, request, name)
        own = own_datasets(suite, recipes[name].cfg)
        labelled = labelled_sets(suite, recipes[name].cfg, request)
        if is_probe(flatten(recipes[name].cfg)):
            _check_datasets(flatten(recipes[name].cfg))
            check_probe(suite, recipes[name], labelled, own, request)
            continue
        notes += _check(suite, recipes[name], own)
        if request.tune:
            _check_tuning(suite, flatten(recipes[name].cfg), own)
    return Draft(suite, request, recipes, own, labelled, list(dict.fromkeys(notes)))


def _check(suite: Suite, recipe: Resolved, own: Own) -> list[str]:
    """Refuses a recipe that cannot run or be scored; returns what is odd about one that can, a line each."""
    flat, scaling = flatten(recipe.cfg), recipe.scaling
    _check_datasets(flat)
    _check_annotations(flat, own)
    parts, batch = scaling.actual * scaling.micro_steps, flat["SOLVER.IMS_PER_BATCH"]
    if batch % parts:
        raise TransferError(
            f"{suite.name}: SOLVER.IMS_PER_BATCH {batch} is no multiple of {parts} processes; change one"
        )
    _check_metrics(suite, flatten(recipe.written), own, [suite.primary, *suite.metrics])
    _check_metrics(suite, flat, own, [suite.primary])
    notes = []
    without = [name for name in suite.metrics if name not in _yielded(flat, own)]
    if without:
        notes.append(f"{suite.name}: {', '.join(without)} will have no value, by your overrides")
    steps, last = flat["SOLVER.STEPS"], flat["SOLVER.MAX_ITER"]
    if any(step >= last for step in steps):
        notes.append(f"{suite.name}: of SOLVER.STEPS {steps}, those from SOLVER.MAX_ITER {last} never come")
    return notes


def _check_tuning(suite: Suite, flat: Mapping[str, Any], own: Own) -> None:
    """Refuses a suite whose primary metric a part of its training set cannot yield."""
    name = flat["DATASETS.TRAIN"][0]
    yielded = metrics_of(*evaluator_of(name, own), flat)
    if suite.primary not in yielded:
        raise UsageError(
            f"{suite.where}: --tune scores rates by {suite.primary} on a part of {name}, which yields "
            f"{', '.join(yielded) or 'nothing'}; leave --tune out"
        )


def _check_datasets(flat: Mapping[str, Any]) -> None:
    """Data sets to train on, by name, and one to test on."""
    training, test = flat["DATASETS.TRAIN"], flat["DATASETS.TEST"]
    if not training:
        raise TransferError("DATASETS.TRAIN is []; expected the names of one data set or more")
    if len(test) != 1:
        raise TransferError(f"DATASETS.TEST is {test}; expected exactly one data set")
    for name in [*training, *test]:
        if not isinstance(name, str):
            raise TransferError(f"DATASETS: {name!r} is no name of a data set; write it as text")


def _check_annotations(flat: Mapping[str, Any], own: Own) -> None:
    """Data sets of known names, with the annotations that the recipe's heads need."""
    semantic = architecture_of(flat).semantic
    for name in [*flat["DATASETS.TRAIN"], *flat["DATASETS.TEST"]]:
        _, tasks = evaluator_of(name, own)
        if semantic != ("sem_seg" in tasks):
            kind = "a segmentor" if semantic else "a detector"
            raise DataError(f"{name} has {', '.join(tasks)}: it is not for {kind}; change DATASETS")
        if name in own:
            check_tasks(flat, own[name])
            continue
        for part, key in HEADS.items():
            # the files of COCO have masks, whether they are scored or not
            if flat[key] and part not in tasks and not (part == "segm" and name in coco.SOURCES):
                raise DataError(
                    f"{name}: {key} is true, but its tasks are {', '.join(tasks)}; "
                    f"set {key}: false in the recipe"
                )


def _yielded(flat: Mapping[str, Any], own: Own) -> list[str]:
    return metrics_of(*evaluator_of(flat["DATASETS.TEST"][0], own), flat)


def _check_metrics(suite: Suite, flat: Mapping[str, Any], own: Own, wanted: list[str]) -> None:
    test = flat["DATASETS.TEST"]
    yielded = _yielded(flat, own) if len(test) == 1 else []
    for metric in dict.fromkeys(wanted):
        if metric in yielded:
            continue
        field = "primary" if metric == suite.primary else "metrics"
        task = metric.partition("/")[0].partition("_")[0]
        off = f" ({HEADS[task]} is false)" if task in HEADS and not flat[HEADS[task]] else ""
        raise UsageError(
            f"{suite.where}: {field}: {metric} will not be measured{off}; this recipe on {', '.join(test)} "
            f"yields {', '.join(yielded)}"
        )
