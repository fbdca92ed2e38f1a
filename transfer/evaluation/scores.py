"""Holds the scores of a task, over all classes and of each class, and makes them from precision tables."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

Summary = dict[str, dict[str, float]]
PerClass = dict[str, dict[str, dict[str, float]]]


class Scores(NamedTuple):
    """Percent in [0, 100]; undefined is NaN, never -1 or 0 in disguise.

    summary: {task: {metric: percent}}, as {"bbox": {"AP": 12.3, "AP50": ...}}.
    per_class: {task: {metric: {class: percent}}}; NaN for a class without ground truth.
    """

    summary: Summary
    per_class: PerClass


def percent(value: Any) -> float:
    """A share of COCO's in percent; its -1, undefined, becomes NaN."""
    return math.nan if value < 0 else 100.0 * float(value)


def mean_percent(precision: np.ndarray) -> float:
    """The mean of a precision table of any shape, without its undefined cells (-1)."""
    defined = precision[precision > -1]
    return 100.0 * float(defined.mean()) if defined.size else math.nan


def classes_of(precision: np.ndarray, names: Sequence[str]) -> dict[str, dict[str, float]]:
    """{"AP" | "AP50" | "AP75": {class: percent}} of a (T, R, K) precision table at IoU 0.50:0.05:0.95."""
    rows = {"AP": precision, "AP50": precision[:1], "AP75": precision[5:6]}
    return {
        key: {name: mean_percent(values[:, :, k]) for k, name in enumerate(names)}
        for key, values in rows.items()
    }


def json_ready(tree: Any) -> Any:
    """The tree with null where a number is undefined: JSON has no NaN."""
    if isinstance(tree, dict):
        return {key: json_ready(value) for key, value in tree.items()}
    return None if isinstance(tree, float) and math.isnan(tree) else tree
