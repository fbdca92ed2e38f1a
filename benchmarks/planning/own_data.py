"""Checks that the data sets that a user's suite defines are for its recipe."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from yacs.config import CfgNode

from benchmarks.errors import UsageError
from benchmarks.planning.suite_file import Suite
from transfer.datasets import own_file
from transfer.datasets.base import Dataset
from transfer.datasets.coco.own import TASKS, OwnDataset
from transfer.errors import DataError
from transfer.recipes.demands import HEADS


def own_datasets(suite: Suite, cfg: CfgNode) -> dict[str, OwnDataset]:
    """The data sets that the suite's file defines, checked but for their content."""
    own = own_file.own_datasets(suite.datasets, suite.file)
    for one in own.values():
        if one.name not in [*cfg.DATASETS.TRAIN, *cfg.DATASETS.TEST]:
            raise UsageError(
                f"{one.where} is not used; name it in the recipe's DATASETS.TRAIN or DATASETS.TEST"
            )
    return own


def check_trainable(training: Sequence[Dataset]) -> None:
    """Raises DataError where all that is trained on is the user's, and none of it can be trained on."""
    for dataset in training:
        counts = dataset.summary
        if not dataset.where or "sem_seg" in dataset.metadata["tasks"]:  # of maps every pixel is judged
            return
        if counts["trainable_objects"] and counts["crowds"] < counts["objects"]:
            return
    raise DataError(
        f"{training[0].where}: json: none of its {training[0].summary['objects']} annotations can be trained "
        "on: all are crowds (iscrowd 1), of no size, or without a polygon; annotate single objects"
    )


def check_tasks(flat: Mapping[str, Any], own: OwnDataset) -> None:
    """Raises DataError where the recipe trains a head for which the user's data hold no annotations."""
    for task, key in HEADS.items():
        if flat[key] and task not in own.tasks:
            mend = f", or annotate {task} and add it to the tasks" if task in TASKS else ""
            raise DataError(
                f"{own.where}: tasks: {key} is true, but its tasks are {', '.join(own.tasks)}; "
                f"set {key}: false in the recipe{mend}"
            )
