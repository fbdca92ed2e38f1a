"""Loads the sets of a suite of frozen features: labelled images, images with boxes, or with queries."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from yacs.config import CfgNode

from transfer.datasets.coco.own import OwnDataset
from transfer.datasets.image_list.own import OwnLabelled, load_own
from transfer.datasets.image_list.parts import Task, limited_home, limited_task
from transfer.datasets.image_list.public.class_folders import positions
from transfer.datasets.image_list.public.revisited import SETS, RetrievalSet, load_retrieval
from transfer.datasets.image_list.public.table import load_set, row_of
from transfer.datasets.limit import limited
from transfer.datasets.registry import load_dataset
from transfer.datasets.synthetic.revisited import DRAWN
from transfer.datasets.waiting import waiting
from transfer.recipes.frozen import DISCOVERY, REVISITED


@dataclass(frozen=True)
class Sources:
    """Where a cell's images are, for each of its processes to read; and where features are kept.

    own: the user's labelled sets, or drawn ones. boxes: the user's sets with boxes.
    """

    data_root: Path
    own: Mapping[str, OwnLabelled]
    features: Path
    boxes: Mapping[str, OwnDataset] = field(default_factory=dict)
    limit: int = 0  # test images at most; 0: all

    @property
    def heads(self) -> Path:
        """Where trained linear layers are kept."""
        return self.features.with_name("heads")


def load_sets(cfg: CfgNode, sources: Sources) -> tuple[Any, Any]:
    """(what is learned from, what is tested on): mostly one set, which is read once.

    They are tasks; for discovery a data set with boxes, for Revisited Oxford and Paris a retrieval set.
    """
    name = cfg.DATASETS.TEST[0]
    if cfg.PROBE.NAME == DISCOVERY:
        one = load_dataset(name, sources.data_root, sources.boxes)
        return (limited(one, sources.limit) if sources.limit else one,) * 2
    if cfg.PROBE.NAME == REVISITED:
        return (load_queries(name, sources.data_root, sources.own).limited(sources.limit),) * 2
    names = dict.fromkeys([cfg.DATASETS.TRAIN[0], name])
    train, *other = (load_task(name, sources.data_root, sources.own) for name in names)
    test = limited_task(other[0] if other else train, sources.limit)
    if cfg.PROBE.NAME == "ood" and sources.limit:
        train = limited_home(train, sources.limit, positions(test.classes, train.classes))
    return train if other else test, test


def load_task(name: str, root: Path, own: Mapping[str, OwnLabelled]) -> Task:
    """Reads, checks and hashes the set. DataError says in one line what is missing or wrong."""
    with waiting(f"reading {name}"):
        return load_own(own[name]) if name in own else load_set(name, root)


def load_queries(name: str, root: Path, own: Mapping[str, OwnLabelled]) -> RetrievalSet:
    """Reads, checks and hashes Revisited Oxford or Paris, or what is drawn in its place."""
    with waiting(f"reading {name}"):
        if name in own:
            return load_retrieval(name, own[name].parts["test"], *DRAWN)
        return load_retrieval(name, root)


def metric_of(name: str, own: Mapping[str, OwnLabelled]) -> str:
    """The figure that the set is reported by: `top1`, `mean_per_class`, `map11`, empty for one of queries.

    No file is read. DataError for an unknown name.
    """
    if name in SETS:
        return ""
    return own[name].metric if name in own else row_of(name).metric
