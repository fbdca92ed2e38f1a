"""The plan: suites x inits x trials, each cell with its identity and what is already known of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from yacs.config import CfgNode

from benchmarks.environment import engine_version
from benchmarks.inits import Init
from benchmarks.suite import Suite
from results.record import record_id
from results.store import find_record
from transfer.config import NEUTRAL_KEYS, RANDOM_MANIFEST, apply_manifest, flatten, load_recipe, recipe_sha256
from transfer.datasets.base import Dataset
from transfer.datasets.registry import load_dataset
from transfer.errors import DataError, TransferError
from transfer.rules import architecture

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
    identity: dict[str, Any]
    not_comparable_because: list[str]

    @property
    def id(self) -> str:
        return record_id(self.identity)


def resolve(suite: Suite, request: Request) -> CfgNode:
    """The suite's recipe after `--smoke` and the overrides, before any backbone's facts."""
    smoke = list(suite.smoke.items()) if request.smoke else []
    return load_recipe(suite.recipe, [*smoke, *request.overrides])


def seeds(suite: Suite, request: Request) -> list[int]:
    """One seed per trial."""
    trials = request.trials or (1 if request.smoke else suite.trials)
    return [request.seed + trial for trial in range(trials)]


def read_data(cfg: CfgNode, root: Path) -> tuple[list[Dataset], Dataset]:
    """Training sets and the test set of a recipe, checked."""
    if len(cfg.DATASETS.TEST) != 1:
        raise TransferError(f"DATASETS.TEST is {list(cfg.DATASETS.TEST)}; expected exactly one data set")
    training = [load_dataset(name, root) for name in cfg.DATASETS.TRAIN]
    test = load_dataset(cfg.DATASETS.TEST[0], root)
    flat = flatten(cfg)
    field, key = _CLASSES["FCN" if architecture(flat) == "FCN" else "detection"]
    for dataset in [*training, test]:
        classes = dataset.metadata.get(field)
        if classes is None:
            raise DataError(f"{dataset.name} has no {field}: it is not for this recipe; change DATASETS")
        if len(classes) != flat[key]:
            raise DataError(f"{dataset.name} has {len(classes)} classes, {key} is {flat[key]}; override it")
    return training, test


def make_cells(suite: Suite, inits: Sequence[Init], request: Request) -> list[Cell]:
    """The suite's cells in the order in which they run: all inits of a trial before the next trial."""
    cfg = resolve(suite, request)
    training, test = read_data(cfg, request.data_root)
    overridden = [key for key, _ in request.overrides]
    cells = []
    for trial, seed in enumerate(seeds(suite, request)):
        for init in inits:
            manifest = RANDOM_MANIFEST if init.backbone is None else init.backbone.manifest
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
                "seed": seed,
            }
            reasons = why_not_comparable(request)
            cells.append(Cell(suite, init, trial, seed, complete, training, test, identity, reasons))
    return cells


def why_not_comparable(request: Request) -> list[str]:
    """Why a number must not be compared with the paper's; empty where it may."""
    moving = [f"{key}={value}" for key, value in request.overrides if key not in NEUTRAL_KEYS]
    return [
        *(["smoke: miniature sizes and schedule"] if request.smoke else []),
        *(["synthetic data"] if request.synthetic else []),
        *([f"overrides: {', '.join(moving)}"] if moving else []),
    ]


def status(cell: Cell, output: Path) -> str:
    """`finished`, `failed`, `interrupted`, `running` or `new`, from the record directory."""
    record = find_record(output, cell.suite.name, cell.id)
    return "new" if record is None else str(record["status"])
