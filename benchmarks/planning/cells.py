"""The plan: suites x inits x trials, each cell with its identity and what is already known of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

from yacs.config import CfgNode

from benchmarks.arguments import SEEDS
from benchmarks.errors import UsageError
from benchmarks.planning.environment import engine_version
from benchmarks.planning.foresight import foresee
from benchmarks.planning.inits import Init
from benchmarks.planning.own_data import check_trainable, own_datasets
from benchmarks.planning.recipe import Request, resolve, resolve_named, said_by_user, scaling_of
from benchmarks.planning.suite import Suite
from results.record import record_id
from results.store import find_record
from transfer.datasets.base import Dataset
from transfer.datasets.coco.own import OwnDataset
from transfer.datasets.findings import shorten
from transfer.datasets.registry import load_dataset
from transfer.errors import DataError
from transfer.recipes.architectures import ARCHITECTURES, architecture_of
from transfer.recipes.resolve import NEUTRAL_KEYS, RANDOM_MANIFEST, apply_manifest, flatten, recipe_sha256
from transfer.recipes.scaling import Scaling

__all__ = ["Cell", "Request", "make_cells", "own_datasets", "resolve", "scaling_of", "seeds", "status"]


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


def _variant(suite: Suite, label: str, suites_own: CfgNode) -> dict[str, str] | None:
    """For a row with a recipe of its own: its name, and the recipe that it stands beside in the table.

    The papers give such a row another recipe and take their differences to it all the same.
    """
    if label not in suite.variants:
        return None
    beside = recipe_sha256(suites_own)
    return {"recipe": suite.variants[label], "instead_of": suite.recipe, "stands_for_sha256": beside}


def seeds(suite: Suite, request: Request) -> list[int]:
    """One seed per trial; UsageError where they pass the last one."""
    trials = request.trials or (1 if request.smoke else suite.trials)
    if request.seed + trials > SEEDS:
        raise UsageError(f"--seed {request.seed}: with {trials} trials seeds pass {SEEDS - 1}; begin lower")
    return [request.seed + trial for trial in range(trials)]


def read_data(cfg: CfgNode, root: Path, own: dict[str, OwnDataset]) -> tuple[list[Dataset], Dataset]:
    """Training sets and the test set of a recipe, checked."""
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
    """In brackets: how many classes each has, and the first place where they differ."""
    pairs = enumerate(zip_longest(one, other, fillvalue="none"), 1)
    place, a, b = next((n, a, b) for n, (a, b) in pairs if a != b)
    return f" ({len(one)} and {len(other)}; number {place} is {shorten(a)} and {shorten(b)})"


def adapts(suite: Suite, request: Request, own: Mapping[str, OwnDataset]) -> bool:
    """Whether the classes are counted in the data: those of the user, unless the user said their number."""
    counted = {row.classes[1] for row in ARCHITECTURES.values()}
    return bool(own) and not said_by_user(suite, request) & counted


def make_cells(suite: Suite, inits: Sequence[Init], request: Request) -> list[Cell]:
    """The suite's cells in the order in which they run: all inits of a trial before the next trial."""
    foresee(suite, request)
    cfg = resolve(suite, request)
    own = own_datasets(suite, cfg)
    training, test = read_data(cfg, request.data_root, own)
    adapt = adapts(suite, request, own)
    fitted: dict[str, tuple[CfgNode, Scaling]] = {}
    for recipe in dict.fromkeys([suite.recipe, *(suite.variants.get(i.label, suite.recipe) for i in inits)]):
        resolved, scaling = resolve_named(suite, request, recipe)
        fitted[recipe] = (fit_classes(resolved, [*training, test], adapt), scaling)
    numbered = list(enumerate(seeds(suite, request)))
    rows = [_row(suite, init, request, fitted, training, test, own, numbered) for init in inits]
    cells = [cell for of_a_trial in zip(*rows, strict=True) for cell in of_a_trial]
    _refuse_twins(cells)
    return cells


def _row(
    suite: Suite,
    init: Init,
    request: Request,
    fitted: Mapping[str, tuple[CfgNode, Scaling]],
    training: list[Dataset],
    test: Dataset,
    own: dict[str, OwnDataset],
    numbered: Sequence[tuple[int, int]],
) -> list[Cell]:
    """The cells of an init, by (trial, seed): they differ in nothing but the seed."""
    manifest = RANDOM_MANIFEST if init.backbone is None else init.backbone.manifest
    overridden = [key for key, _ in request.overrides]
    cfg, scaling = fitted[suite.variants.get(init.label, suite.recipe)]
    complete = apply_manifest(cfg, manifest, overridden)
    identity = {
        "suite": suite.name,
        "suite_version": suite.version,
        "recipe_sha256": recipe_sha256(complete),
        "backbone_sha256": init.identity(flatten(complete)),
        "data_sha256": "+".join(dataset.summary["sha256"] for dataset in [*training, test]),
        "engine": request.engine,
        "engine_version": engine_version(request.engine),
        "processes": request.num_processes,
        **({"micro_steps": scaling.micro_steps} if scaling.micro_steps > 1 else {}),
        **({"deterministic": True} if request.deterministic else {}),
    }
    variant = _variant(suite, init.label, apply_manifest(fitted[suite.recipe][0], manifest, overridden))
    reasons = why_not_comparable(request, scaling)
    return [
        Cell(
            *(suite, init, trial, seed, complete, training, test, own),
            *(identity | {"seed": seed}, reasons, scaling, variant),
        )
        for trial, seed in numbered
    ]


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
