"""The data of a plan: which sets a suite names, whether they are for its recipe, and their classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any

from yacs.config import CfgNode

from benchmarks.errors import UsageError
from benchmarks.suite import Suite
from transfer.config import flatten
from transfer.datasets import own_file
from transfer.datasets.base import Dataset
from transfer.datasets.findings import shorten
from transfer.datasets.own import TASKS, OwnDataset
from transfer.datasets.registry import load_dataset
from transfer.datasets.waiting import waiting
from transfer.errors import DataError, TransferError
from transfer.rules import architecture

# What is recognised -> the metadata that names the classes, and the key that counts them.
CLASSES = {
    "detection": ("thing_classes", "MODEL.ROI_HEADS.NUM_CLASSES"),
    "FCN": ("stuff_classes", "MODEL.SEM_SEG_HEAD.NUM_CLASSES"),
}
# What a recipe trains on, and the annotations that it takes.
_TASKS = {"MODEL.MASK_ON": "segm", "MODEL.KEYPOINT_ON": "keypoints", "MODEL.DENSEPOSE_ON": "densepose"}


def own_datasets(suite: Suite, cfg: CfgNode) -> dict[str, OwnDataset]:
    """The data sets that the suite's file defines, checked but for their content."""
    own = own_file.own_datasets(suite.datasets, suite.file)
    for one in own.values():
        if one.name not in [*cfg.DATASETS.TRAIN, *cfg.DATASETS.TEST]:
            raise UsageError(
                f"{one.where} is not used; name it in the recipe's DATASETS.TRAIN or DATASETS.TEST"
            )
    return own


def read_data(cfg: CfgNode, root: Path, own: dict[str, OwnDataset]) -> tuple[list[Dataset], Dataset]:
    """Training sets and the test set of a recipe, checked."""
    if len(cfg.DATASETS.TEST) != 1:
        raise TransferError(f"DATASETS.TEST is {list(cfg.DATASETS.TEST)}; expected exactly one data set")
    for dataset in own.values():
        check_tasks(flatten(cfg), dataset)
    training = [_read(name, root, own) for name in cfg.DATASETS.TRAIN]
    return training, _read(cfg.DATASETS.TEST[0], root, own)


def _read(name: str, root: Path, own: dict[str, OwnDataset]) -> Dataset:
    with waiting(f"reading {name}"):
        return load_dataset(name, root, own)


def check_tasks(flat: Mapping[str, Any], own: OwnDataset) -> None:
    """DataError where the recipe trains a head for which the user's data hold no annotations."""
    for key, task in _TASKS.items():
        if flat[key] and task not in own.tasks:
            mend = f", or annotate {task} and add it to the tasks" if task in TASKS else ""
            raise DataError(
                f"{own.where}: tasks: {key} is true, but its tasks are {', '.join(own.tasks)}; "
                f"set {key}: false in the recipe{mend}"
            )


def fit_classes(
    cfg: CfgNode, datasets: Sequence[Dataset], adapt: bool, own: Mapping[str, OwnDataset]
) -> CfgNode:
    """The recipe with the data's number of classes where it may `adapt`; else DataError if they differ."""
    flat = flatten(cfg)
    field, key = CLASSES["FCN" if architecture(flat) == "FCN" else "detection"]
    names = [own[d.name].where if d.name in own else d.name for d in datasets]
    for name, dataset in zip(names, datasets, strict=True):
        classes = dataset.metadata.get(field)
        if classes is None:
            raise DataError(f"{name} has no {field}: it is not for this recipe; change DATASETS")
        if classes != datasets[0].metadata[field]:
            raise DataError(
                f"{names[0]} and {dataset.name} have different classes or another order of them"
                f"{_first_difference(datasets[0], dataset, field)}; a suite needs one list"
            )
        if len(classes) != flat[key] and not adapt:
            raise DataError(
                f"{name} has {len(classes)} classes, {key} is {flat[key]}; override it: {key} {len(classes)}"
            )
    cfg = cfg.clone()
    cfg.merge_from_list([key, len(datasets[0].metadata[field])])
    return cfg


def _first_difference(one: Dataset, other: Dataset, field: str) -> str:
    """In brackets: how many classes each has, and the first place where they differ."""
    classes, others = one.metadata[field], other.metadata[field]
    pairs = zip_longest(classes, others, fillvalue="none")
    place, a, b = next((n, a, b) for n, (a, b) in enumerate(pairs, 1) if a != b)
    return f" ({len(classes)} and {len(others)}; number {place} is {shorten(a)} and {shorten(b)})"
