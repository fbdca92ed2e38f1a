"""Plans cells, suites x inits x trials: each has its identity, by which a finished one is known again."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

from yacs.config import CfgNode

from benchmarks.errors import UsageError
from benchmarks.planning.environment import engine_version
from benchmarks.planning.foresight import Draft, foresee
from benchmarks.planning.inits import Init
from benchmarks.planning.labelled import ENGINE, Labelled, is_probe, read_labelled
from benchmarks.planning.own_data import check_trainable
from benchmarks.planning.recipe import said_by_user
from benchmarks.planning.request import Request
from benchmarks.planning.suite_file import Suite
from benchmarks.planning.trials import seeds_of
from results.record import Candidate, Evaluated, Truncated, Tuned, Variant, record_id
from results.store import find_record
from transfer.datasets.base import Dataset
from transfer.datasets.coco.own import OwnDataset
from transfer.datasets.findings import shorten
from transfer.datasets.limit import limited
from transfer.datasets.registry import load_dataset
from transfer.errors import DataError
from transfer.recipes.architectures import ARCHITECTURES, architecture_of
from transfer.recipes.identity import NEUTRAL_KEYS, recipe_sha256
from transfer.recipes.own import OWN
from transfer.recipes.resolve import apply_manifest, flatten
from transfer.recipes.scaling import Scaling

TRUNCATED = "truncated: {images} of {of} test images, by --limit"
OUTDATED = "outdated"


@dataclass(frozen=True)
class Cell:
    """One run to be: suite x init x trial, or a candidate of a tuning."""

    suite: Suite
    init: Init
    trial: int
    seed: int
    recipe: dict[str, Any]  # flat, resolved, the weights' own facts included
    training: list[Dataset]
    test: Dataset
    own: Mapping[str, OwnDataset]  # those of them that the user defined
    labelled: Labelled  # those of them that are labelled images, and the user's
    identity: dict[str, Any]
    not_comparable_because: list[str]
    scaling: Scaling
    variant: Variant | None = None  # see `_variant`
    candidate: Candidate | None = None  # see `tuning`; so `tuned`
    tuned: Tuned | None = None
    evaluated: Evaluated | None = None  # see `evaluation`; so `model`
    model: Path | None = None

    @property
    def truncated(self) -> Truncated | None:
        """How much of the test set it is tested on, where that is not all."""
        found: Truncated | None = self.test.summary.get("truncated")
        return found

    @functools.cached_property
    def id(self) -> str:
        """The name of its record and its folder."""
        return record_id(self.identity)


def read_data(cfg: CfgNode, root: Path, own: Mapping[str, OwnDataset]) -> tuple[list[Dataset], Dataset]:
    """Reads and checks the training sets and the test set of a recipe."""
    training = [load_dataset(name, root, own) for name in cfg.DATASETS.TRAIN]
    check_trainable(training)
    return training, load_dataset(cfg.DATASETS.TEST[0], root, own)


def fit_classes(cfg: CfgNode, datasets: Sequence[Dataset], adapt: bool) -> CfgNode:
    """The recipe with the data's number of classes where it may `adapt`; else DataError if they differ."""
    flat = flatten(cfg)
    field, key = architecture_of(flat).classes
    for dataset in datasets:
        classes = dataset.metadata.get(field)
        if classes is None:
            raise DataError(f"{dataset.title} has no {field}: it is not for this recipe; change DATASETS")
        if classes != datasets[0].metadata[field]:
            raise DataError(
                f"{datasets[0].title} and {dataset.name} have different classes or another order of them"
                f"{_first_difference(datasets[0].metadata[field], classes)}; a suite needs one list"
            )
        if len(classes) != flat[key] and not adapt:
            mend = f"override it: {key} {len(classes)}"
            raise DataError(f"{dataset.title} has {len(classes)} classes, {key} is {flat[key]}; {mend}")
    cfg = cfg.clone()
    cfg.merge_from_list([key, len(datasets[0].metadata[field])])
    return cfg


def _first_difference(one: Sequence[str], other: Sequence[str]) -> str:
    """How many classes each has and the first place where they differ, in brackets."""
    pairs = enumerate(zip_longest(one, other, fillvalue="none"), 1)
    place, a, b = next((n, a, b) for n, (a, b) in pairs if a != b)
    return f" ({len(one)} and {len(other)}; number {place} is {shorten(a)} and {shorten(b)})"


def adapts(suite: Suite, request: Request, own: Mapping[str, OwnDataset]) -> bool:
    """Whether the classes are counted in the data: those of the user, unless the user said their number."""
    counted = {row.classes[1] for row in ARCHITECTURES.values()}
    return bool(own) and not said_by_user(suite, request) & counted


def make_cells(suite: Suite, inits: Sequence[Init], request: Request) -> list[Cell]:
    """Checks the suite and makes its cells."""
    return cells_of(foresee(suite, request), inits)


def cells_of(draft: Draft, inits: Sequence[Init]) -> list[Cell]:
    """The suite's cells in the order in which they run: all inits of a trial before the next trial."""
    suite, request = draft.suite, draft.request
    for init in inits:  # weights that do not fit are refused before data are read
        with_facts_of(init, draft.recipe_of(init.label).cfg, request)
    names = dict.fromkeys([suite.recipe, *(suite.recipe_of(init.label) for init in inits)])
    if is_probe(flatten(draft.recipe.cfg)):
        engine = ENGINE
        training, test = read_labelled(
            draft.recipe.cfg, request.data_root, draft.labelled, draft.own, request.limit
        )
        fitted = {name: draft.recipes[name].cfg for name in names}
    else:
        engine = request.engine
        training, test = read_data(draft.recipe.cfg, request.data_root, draft.own)
        adapt = adapts(suite, request, draft.own)
        fitted = {name: fit_classes(draft.recipes[name].cfg, [*training, test], adapt) for name in names}
    shared = {
        "data_sha256": "+".join(dataset.summary["sha256"] for dataset in [*training, test]),
        "engine": engine,
        "engine_version": engine_version(engine),
        "processes": request.num_processes,
    }
    if request.limit and not is_probe(flatten(draft.recipe.cfg)):
        test = limited(test, request.limit)
    rows = [_row(draft, init, fitted, shared, training, test) for init in inits]
    cells = [cell for of_a_trial in zip_longest(*rows) for cell in of_a_trial if cell]
    _refuse_twins(cells)
    return cells


def _row(
    draft: Draft,
    init: Init,
    fitted: Mapping[str, CfgNode],
    shared: Mapping[str, Any],
    training: list[Dataset],
    test: Dataset,
) -> list[Cell]:
    """The cells of an init, by trial: they differ in nothing but the seed, and the file of weights by it.

    `fitted` are the suite's recipes by name, `shared` the part of the identity that all rows have.
    """
    suite, request, scaling = draft.suite, draft.request, draft.recipe_of(init.label).scaling
    cfg = fitted[suite.recipe_of(init.label)]
    recipe = with_facts_of(init, cfg, request)
    identity = {
        "suite": suite.name,
        "suite_version": suite.version,
        "recipe_sha256": _hash_of(cfg, recipe),
        **shared,
        **({"micro_steps": scaling.micro_steps} if scaling.micro_steps > 1 else {}),
        **({"deterministic": True} if request.deterministic else {}),
    }
    reasons = why_not_comparable(request, scaling)
    if cut := test.summary.get("truncated"):
        identity["limit"] = cut["images"]
        reasons.append(TRUNCATED.format(**cut))
    variant = _variant(draft, init, fitted[suite.recipe])
    return [
        Cell(
            *(suite, one, trial, seed, recipe, training, test, draft.own, draft.labelled),
            *(identity | {"backbone_sha256": one.identity(recipe), "seed": seed}, reasons, scaling, variant),
        )
        for trial, seed in enumerate(seeds_of(draft, init))
        for one in [init.of_seed(seed)]
    ]


def _hash_of(cfg: CfgNode, recipe: dict[str, Any]) -> str:
    """The hash of a row's recipe; on own code that of `cfg`, the recipe as other rows of the suite have it.

    It stands in one table with them, and has none of the keys by which recipes of its usual backbone differ.
    """
    return recipe_sha256(cfg if architecture_of(recipe).family is OWN else recipe)


def with_facts_of(init: Init, cfg: CfgNode, request: Request) -> dict[str, Any]:
    """The flat recipe of a row: `cfg` with the shape and the pixels that belong to its weights.

    It has no keys of other families, so that a new family is none of its record's business.
    """
    manifest = init.manifest(architecture_of(flatten(cfg)).family)
    filled = flatten(apply_manifest(cfg, manifest, [key for key, _ in request.overrides]))
    foreign = architecture_of(filled).foreign
    return {key: value for key, value in filled.items() if not key.startswith(foreign)}


def _variant(draft: Draft, init: Init, suites_own: CfgNode) -> Variant | None:
    """Names the recipe of a row that has its own, and the one that it stands beside in the table.

    The papers give such a row another recipe and take their differences to it all the same.
    """
    suite = draft.suite
    own = suite.variant_of(init.label)
    if not own:
        return None
    beside = _hash_of(suites_own, with_facts_of(init, suites_own, draft.request))
    return {"recipe": own, "instead_of": suite.recipe, "stands_for_sha256": beside}


def _refuse_twins(cells: Sequence[Cell]) -> None:
    """Refuses two rows of the same weights: they would be one cell, run once, under one of the names."""
    rows: dict[str, str] = {}
    for cell in cells:
        other = rows.setdefault(cell.id, cell.init.label)
        if other != cell.init.label:
            raise UsageError(
                f"--init: {other} and {cell.init.label} are the same weights; leave one of them out"
            )


def why_not_comparable(request: Request, scaling: Scaling) -> list[str]:
    """The reasons why a number must not be compared with the paper's; none where it may."""
    moving = [f"{key}={value}" for key, value in request.overrides if key not in NEUTRAL_KEYS]
    return [
        *(["smoke: miniature sizes and schedule"] if request.smoke else []),
        *(["synthetic data"] if request.synthetic else []),
        *([f"overrides: {', '.join(moving)}"] if moving else []),
        *([scaling.reason] if scaling.reason else []),
    ]


def status(cell: Cell, output: Path) -> str:
    """The state of a cell by its record: `finished`, `failed`, `interrupted`, `running` or `new`.

    `OUTDATED` where it evaluated a model that is another since.
    """
    record = find_record(output, cell.suite.name, cell.id)
    if record is None:
        return "new"
    before = record.get("evaluated")
    changed = before and cell.evaluated and before["sha256"] != cell.evaluated["sha256"]
    return OUTDATED if changed and record["status"] in ("finished", "failed") else record["status"]
