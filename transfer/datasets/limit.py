"""Cuts a test set to a few of its images, for a quick look: the same ones on every machine, by their ids.

A record of such a test says `truncated`, and how much of the set it is.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from transfer.datasets.base import Dataset
from transfer.datasets.records import column
from transfer.datasets.split import taken

RULE = "those with the lowest SHA-256 of their id"
OF_CLASSES = f"of each class in turn {RULE}"


def truncated(number: int, of: int, rule: str = RULE) -> dict[str, Any]:
    """The entry of a summary, and of a record, of a test set that was cut to `number` images."""
    return {"images": number, "of": of, "rule": rule}


def limited(dataset: Dataset[Any], number: int) -> Dataset[Any]:
    """The data set with `number` of its images, or itself where it has no more.

    Its `sha256` stays that of the whole, which with the number determines it.
    """
    ids = [str(one) for one in column(dataset.records, "image_id").tolist()]
    if len(ids) <= number:
        return dataset
    cut = taken(dataset, lowest(ids, number))
    summary = {**dataset.summary, **cut.summary, "truncated": truncated(number, len(ids))}
    return replace(cut, summary=summary)


def lowest(ids: Sequence[str], number: int) -> np.ndarray:
    """(min(number, N),) int64: the rows of the ids with the lowest SHA-256, in their order."""
    return np.sort(_by_hash(ids)[:number])


def of_each_class(ids: Sequence[str], labels: np.ndarray, number: int) -> np.ndarray:
    """As `lowest`, of each class the first in turn, then the second; so all classes are there early.

    labels: (N,) class numbers, or (N, classes) where 1 says yes; an image of no class comes last.
    """
    order = _by_hash(ids)
    turns = _turns(labels[order])
    return np.sort(order[np.argsort(turns, kind="stable")[:number]])


def _turns(labels: np.ndarray) -> np.ndarray:
    """(N,) int64: how many of its class come before each image; of several classes the fewest."""
    if labels.ndim == 2:
        shows = labels == 1
        return np.where(shows, np.cumsum(shows, axis=0) - 1, len(labels)).min(1)
    by_class = np.argsort(labels, kind="stable")
    _, first, of_image = np.unique(labels[by_class], return_index=True, return_inverse=True)
    turns = np.empty(len(labels), np.int64)
    turns[by_class] = np.arange(len(labels)) - first[of_image]
    return turns


def _by_hash(ids: Sequence[str]) -> np.ndarray:
    keys = [hashlib.sha256(one.encode("utf-8", "surrogateescape")).digest() for one in ids]
    return np.array(sorted(range(len(ids)), key=keys.__getitem__), np.int64)
