"""The plan: suites x inits x trials, each cell with its identity and what is already known of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

from yacs.config import CfgNode

from benchmarks.environment import engine_version
from benchmarks.errors import UsageError
from benchmarks.inits import Init
from benchmarks.own_data import check_tasks, check_trainable, own_datasets
from benchmarks.suite import Suite, miniature
from results.record import record_id
from results.store import find_record
from transfer.config import (
    NEUTRAL_KEYS,
    RANDOM_MANIFEST,
    apply_manifest,
    flatten,
    keys_of_user,
    load_recipe,
    recipe_sha256,
)
from transfer.datasets.base import Dataset
from transfer.datasets.findings import shorten
from transfer.datasets.own import OwnDataset
from transfer.datasets.registry import load_dataset
from transfer.errors import DataError, TransferError
from transfer.rules import architecture
from transfer.scaling import Scaling, apply_scaling, plan_scaling

# What is recognised -> the metadata that names the classes, and the key that counts them.
_CLASSES = {
    "detection": ("thing_classes", "MODEL.ROI_HEADS.NUM_CLASSES"),
    "FCN": ("stuff_classes", "MODEL.SEM_SEG_HEAD.NUM_CLASSES"),
}


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


@dataclass(frozen=True)
class Cell:
    """One run to be: suite x init x trial."""

    suite: Suite
    init: Init
    trial: int
    seed: int
    cfg: CfgNode  # resolved, the manifest's facts included
    training: list[Dataset]
    test: Dataset
    own: dict[str, OwnDataset]  # those of them that the user defined
    identity: dict[str, Any]
    not_comparable_because: list[str]
    scaling: Scaling
    variant: dict[str, str] | None = None  # see `_variant`

    @property
    def id(self) -> str:
        return record_id(self.identity)


def resolve(suite: Suite, request: Request, label: str = "") -> CfgNode:
    """The recipe of the row `label` after `--smoke`, overrides and scaling, before any backbone's facts."""
    recipe = suite.variants.get(label, suite.recipe)
    scaling = scaling_of(suite, request, label)
    return apply_scaling(_unscaled(suite, request, recipe), scaling, said_by_user(suite, request))


def scaling_of(suite: Suite, request: Request, label: str = "") -> Scaling:
    """How the recipe of the row `label` meets the number of processes."""
    flat = flatten(_unscaled(suite, request, suite.variants.get(label, suite.recipe)))
    return plan_scaling(flat, request.num_processes, said_by_user(suite, request), request.accumulate)


def said_by_user(suite: Suite, request: Request) -> set[str]:
    """The keys that the user set: on the command line, in a suite or in a recipe of his own."""
    overridden = (key for key, _ in request.overrides)
    return {*overridden, *flatten(suite.changes), *keys_of_user(suite.recipe)}


def _unscaled(suite: Suite, request: Request, recipe: str) -> CfgNode:
    changes = (suite.changes, f"{suite.where}: recipe")
    if not request.smoke:
        return load_recipe(recipe, request.overrides, changes)
    kind = architecture(flatten(load_recipe(recipe, (), changes)))
    return load_recipe(recipe, [*miniature(suite, kind).items(), *request.overrides], changes)


def _variant(suite: Suite, label: str, suites_own: CfgNode) -> dict[str, str] | None:
    """For a row with a recipe of its own: its name, and the recipe that it stands beside in the table.

    The papers give such a row another recipe and take their differences to it all the same.
    """
    if label not in suite.variants:
        return None
    beside = recipe_sha256(suites_own)
    return {"recipe": suite.variants[label], "instead_of": suite.recipe, "stands_for_sha256": beside}


def seeds(suite: Suite, request: Request) -> list[int]:
    """One seed per trial."""
    trials = request.trials or (1 if request.smoke else suite.trials)
    return [request.seed + trial for trial in range(trials)]


def read_data(cfg: CfgNode, root: Path, own: dict[str, OwnDataset]) -> tuple[list[Dataset], Dataset]:
    """Training sets and the test set of a recipe, checked."""
    if len(cfg.DATASETS.TEST) != 1:
        raise TransferError(f"DATASETS.TEST is {list(cfg.DATASETS.TEST)}; expected exactly one data set")
    for dataset in own.values():
        check_tasks(flatten(cfg), dataset)
    training = [load_dataset(name, root, own) for name in cfg.DATASETS.TRAIN]
    check_trainable(training)
    return training, load_dataset(cfg.DATASETS.TEST[0], root, own)


def fit_classes(cfg: CfgNode, datasets: Sequence[Dataset], adapt: bool) -> CfgNode:
    """The recipe with the data's number of classes where it may `adapt`; else DataError if they differ."""
    flat = flatten(cfg)
    field, key = _CLASSES["FCN" if architecture(flat) == "FCN" else "detection"]
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
    """In brackets: how many classes each has, and the first place where they differ."""
    pairs = enumerate(zip_longest(one, other, fillvalue="none"), 1)
    place, a, b = next((n, a, b) for n, (a, b) in pairs if a != b)
    return f" ({len(one)} and {len(other)}; number {place} is {shorten(a)} and {shorten(b)})"


def adapts(suite: Suite, request: Request, own: Mapping[str, OwnDataset]) -> bool:
    """Whether the classes are counted in the data: those of the user, unless the user said their number."""
    return bool(own) and not said_by_user(suite, request) & {key for _, key in _CLASSES.values()}


def make_cells(suite: Suite, inits: Sequence[Init], request: Request) -> list[Cell]:
    """The suite's cells in the order in which they run: all inits of a trial before the next trial."""
    cfg = suites_own = resolve(suite, request)
    own = own_datasets(suite, cfg)
    training, test = read_data(cfg, request.data_root, own)
    overridden = [key for key, _ in request.overrides]
    adapt = adapts(suite, request, own)
    suites_own = fit_classes(suites_own, [*training, test], adapt)
    cells = []
    for trial, seed in enumerate(seeds(suite, request)):
        for init in inits:
            manifest = RANDOM_MANIFEST if init.backbone is None else init.backbone.manifest
            cfg = fit_classes(resolve(suite, request, init.label), [*training, test], adapt)
            complete = apply_manifest(cfg, manifest, overridden)
            scaling = scaling_of(suite, request, init.label)
            identity = {
                "suite": suite.name,
                "suite_version": suite.version,
                "recipe_sha256": recipe_sha256(complete),
                "backbone_sha256": init.identity(flatten(complete)),
                "data_sha256": "+".join(dataset.summary["sha256"] for dataset in [*training, test]),
                "engine": request.engine,
                "engine_version": engine_version(request.engine),
                "processes": request.num_processes,
                "seed": seed,
                **({"micro_steps": scaling.micro_steps} if scaling.micro_steps > 1 else {}),
                **({"deterministic": True} if request.deterministic else {}),
            }
            variant = _variant(suite, init.label, apply_manifest(suites_own, manifest, overridden))
            reasons = why_not_comparable(request, scaling)
            facts = (training, test, own, identity, reasons, scaling, variant)
            cells.append(Cell(suite, init, trial, seed, complete, *facts))
    _refuse_twins(cells)
    return cells


def _refuse_twins(cells: Sequence[Cell]) -> None:
    """Two rows of the same weights would be one cell: run once, under one of the names."""
    rows: dict[str, str] = {}
    for cell in cells:
        other = rows.setdefault(cell.id, cell.init.label)
        if other != cell.init.label:
            raise UsageError(
                f"--init: {other} and {cell.init.label} are the same weights; leave one of them out"
            )


def why_not_comparable(request: Request, scaling: Scaling) -> list[str]:
    """Why a number must not be compared with the paper's; empty where it may."""
    moving = [f"{key}={value}" for key, value in request.overrides if key not in NEUTRAL_KEYS]
    return [
        *(["smoke: miniature sizes and schedule"] if request.smoke else []),
        *(["synthetic data"] if request.synthetic else []),
        *([f"overrides: {', '.join(moving)}"] if moving else []),
        *([scaling.reason] if scaling.reason else []),
    ]


def status(cell: Cell, output: Path) -> str:
    """`finished`, `failed`, `interrupted`, `running` or `new`, from the record directory."""
    record = find_record(output, cell.suite.name, cell.id)
    return "new" if record is None else str(record["status"])
