"""Holds two trials against each other on the images that both were tested on."""

from __future__ import annotations

import functools
from pathlib import Path

import numpy as np

from results.errors import RecordError
from results.images.file import AnyMeasure, Outcomes, read_outcomes
from results.images.measure import OverImages, interval

TRUTH = ("label", "truth_image", "truth_class", "truth")  # arrays that are the test set's, not the network's
ROUNDING = 1e-6  # points between the record's metric and what its images give


@functools.lru_cache(maxsize=256)
def outcomes(path: Path, sha256: str) -> Outcomes:
    """The outcomes of a cell, read once. RecordError: see read_outcomes."""
    return read_outcomes(path, sha256)


def measure(found: Outcomes, metric: str, value: float) -> AnyMeasure | None:
    """The metric over images, or None where the file has no such.

    RecordError: it is not the record's `value`.
    """
    made = found.measure(metric)
    if made is not None and abs(made.value() - value) > ROUNDING:
        raise RecordError(
            f"{found.path}: its images give {metric} {made.value():.6f}, the record has {value:.6f}; "
            "score the cell again"
        )
    return made


@functools.lru_cache(maxsize=4096)  # suite tables and the report hold the same rows
def image_interval(path: Path, sha256: str, metric: str, value: float) -> tuple[float, float] | None:
    """The 95 % interval of one trial over test images; None without the metric or without spread."""
    made = measure(outcomes(path, sha256), metric, value)
    return None if made is None else interval(made.resampled(), made.value())


@functools.lru_cache(maxsize=4096)
def image_difference(
    ours: tuple[Path, str, float], theirs: tuple[Path, str, float], metric: str
) -> OverImages | None:
    """The difference of two trials, each (path, sha256, value); None where the file lacks the metric.

    RecordError: they were not tested on the same images with the same labels.
    """
    files = [outcomes(path, sha256) for path, sha256, _ in (ours, theirs)]
    made = [measure(found, metric, one[2]) for found, one in zip(files, (ours, theirs), strict=True)]
    if made[0] is None or made[1] is None:
        return None
    if files[0].ids != files[1].ids or not _same_truth(files[0], files[1], metric):
        raise RecordError(
            f"{files[0].path} and {files[1].path} are not of the same images and labels; no paired test"
        )
    return made[0].compared(made[1])  # type: ignore[arg-type]  # both are of one kind


def _same_truth(ours: Outcomes, theirs: Outcomes, metric: str) -> bool:
    """Whether the truth is the same, as far as both tell it: means over queries tell labels since lately."""
    told = ours.metrics[metric]
    parts = [f"{told['of']}.{part}" for part in TRUTH]
    return told == theirs.metrics[metric] and all(
        np.array_equal(ours.arrays[part], theirs.arrays[part])
        for part in parts
        if part in ours.arrays and part in theirs.arrays
    )
