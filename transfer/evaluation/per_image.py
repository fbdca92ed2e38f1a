"""Writes per_image.npz: what a model did on every test image, so that two rows can be told apart over images.

`results/images/file.py` reads it and says what is in it. Detections are matched here, once, where the ground
truth is; whatever resamples images later needs neither it nor the predictions.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from boltons.fileutils import atomic_save

FILE = "per_image.npz"
FORM = 1


@dataclass(frozen=True)
class Outcomes:
    """The outcomes of a trial: `ids` of n images (queries, episodes: the `unit`), and per metric its arrays.

    metrics: {"bbox/AP50": {"kind": "coco", "of": "bbox", "thresholds": [0]}}. arrays: {"bbox.score": ...}.
    """

    ids: Sequence[str | int]
    metrics: Mapping[str, Mapping[str, Any]]
    arrays: Mapping[str, np.ndarray]
    unit: str = "image"


def save_outcomes(outcomes: Outcomes, path: Path) -> None:
    """Writes the file, whole or not at all; equal outcomes are equal bytes."""
    about = json.dumps({"form": FORM, "unit": outcomes.unit, "metrics": outcomes.metrics})
    stream = io.BytesIO()
    columns = {name: _small(values) for name, values in outcomes.arrays.items()}
    np.savez_compressed(
        stream,
        about=np.array(about),
        ids=np.array([str(one) for one in outcomes.ids]),
        **columns,  # type: ignore[arg-type]
    )
    with atomic_save(str(path), overwrite_part=True) as file:
        file.write(stream.getvalue())


def average_precision(
    task: str, kind: str, ids: Sequence[str | int], columns: Mapping[str, np.ndarray]
) -> Outcomes:
    """The outcomes of AP, AP50 and AP75 from the columns of one task, at IoU 0.50:0.05:0.95.

    columns: image, class and score of (D,) detections; hit and ignored, (D, 10) bool; truth_image and
    truth_class of (G,) objects; classes, their number. `kind`: "coco", or VOC's "area" or "eleven".
    """
    of_class, score = columns["class"], columns["score"]
    order = np.lexsort((-score, of_class))  # stable: ties stay in the order of the images
    bits = 1 << np.arange(10)
    arrays = {
        "image": columns["image"][order],
        "score": score[order],
        "edges": np.searchsorted(of_class[order], np.arange(int(columns["classes"]) + 1)),
        "hit": (columns["hit"] @ bits)[order],
        "ignored": (columns["ignored"] @ bits)[order],
        "truth_image": columns["truth_image"],
        "truth_class": columns["truth_class"],
    }
    thresholds = {"AP": list(range(10)), "AP50": [0], "AP75": [5]}
    return Outcomes(
        ids,
        {f"{task}/{name}": {"kind": kind, "of": task, "thresholds": t} for name, t in thresholds.items()},
        {f"{task}.{name}": values for name, values in arrays.items()},
    )


def joined(parts: Sequence[Outcomes]) -> Outcomes:
    """The outcomes of several tasks on the same images as one."""
    metrics = {name: told for part in parts for name, told in part.metrics.items()}
    arrays = {name: values for part in parts for name, values in part.arrays.items()}
    return Outcomes(parts[0].ids, metrics, arrays, parts[0].unit)


def _small(values: np.ndarray) -> np.ndarray:
    """The values in the smallest type that holds them exactly."""
    if values.dtype.kind in "iu" and values.size:
        return values.astype(
            np.result_type(np.min_scalar_type(values.min()), np.min_scalar_type(values.max()))
        )
    if values.dtype == np.float64 and (values.astype(np.float32) == values).all():
        return values.astype(np.float32)
    return values
