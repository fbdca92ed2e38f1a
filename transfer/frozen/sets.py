"""Loads the labelled set of a name, the user's or a public one, as a suite takes it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from transfer.datasets.image_list.own import OwnLabelled, load_own
from transfer.datasets.image_list.parts import Task
from transfer.datasets.image_list.public.table import load_set, row_of
from transfer.datasets.waiting import waiting


def load_task(name: str, root: Path, own: Mapping[str, OwnLabelled]) -> Task:
    """Reads, checks and hashes the set. DataError says in one line what is missing or wrong."""
    with waiting(f"reading {name}"):
        return load_own(own[name]) if name in own else load_set(name, root)


def metric_of(name: str, own: Mapping[str, OwnLabelled]) -> str:
    """The figure that the set is reported by: `top1`, `mean_per_class` or `map11`; no file is read."""
    return own[name].metric if name in own else row_of(name).metric
