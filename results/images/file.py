"""Reads per_image.npz: what a trial did on every test image, in a few bytes an image.

    about    JSON text: {"form": 1, "unit": "image", "metrics": {"bbox/AP50": {"kind": "coco", "of": "bbox",
             "thresholds": [0]}, ...}}
    ids      (n,) texts, each once, in the order of all other arrays: images, queries or episodes
    NAME.*   the arrays of each NAME that a metric is "of", by its kind:

    right, right_per_class    .label, .predicted (n,) whole numbers; .score (n,), kept for readers
    mean, mean_per_class      .value (n,) in [0, 1]; for the second also .label (n,)
    coco, area, eleven        .image .score .edges .hit .ignored .truth_image .truth_class of Matches
    iou                       .hits .truth .guess (n, classes) pixel counts

`transfer/evaluation/per_image.py` writes it. The record holds its SHA-256, so `verify` finds an altered one.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from results.errors import RecordError
from results.images.means import MeanOf
from results.images.overlap import MeanOverlap
from results.images.precision import AveragePrecision, Matches

FORM = 1
PARTS = {
    "right": ("label", "predicted"),
    "right_per_class": ("label", "predicted"),
    "mean": ("value",),
    "mean_per_class": ("value", "label"),
    **dict.fromkeys(
        ("coco", "area", "eleven"),
        ("image", "score", "edges", "hit", "ignored", "truth_image", "truth_class"),
    ),
    "iou": ("hits", "truth", "guess"),
}
LARGEST = 2**30  # bytes of all arrays; 20,000 images of LVIS take a tenth
BITS = 16  # of `hit`: thresholds that it can hold

AnyMeasure = MeanOf | AveragePrecision | MeanOverlap


@dataclass(frozen=True)
class Outcomes:
    """The content of one file; `metrics`: flat name -> its kind, the name of its arrays, more by kind."""

    path: Path
    ids: tuple[str, ...]
    unit: str
    metrics: Mapping[str, Mapping[str, Any]]
    arrays: Mapping[str, np.ndarray]
    _made: dict[str, AnyMeasure] = field(default_factory=dict, repr=False)

    def measure(self, metric: str) -> AnyMeasure | None:
        """The metric as a function of the images, or None where the file has no such. RecordError: broken."""
        told = self.metrics.get(metric)
        if told is None:
            return None
        if metric not in self._made:
            parts = [self.arrays[f"{told['of']}.{part}"] for part in PARTS[told["kind"]]]
            try:
                self._made[metric] = MEASURES[told["kind"]](len(self.ids), self.unit, told, *parts)
            except Exception as error:  # somebody's file
                raise RecordError(f"{self.path}: {metric}: {_line(error)}; score the cell again") from None
        return self._made[metric]


def read_outcomes(path: Path, sha256: str) -> Outcomes:
    """The outcomes of a cell. RecordError: not there, not the bytes of `sha256`, or of another form."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise RecordError(f"{path}: {error.strerror}; expected what the trial did on every image") from None
    if hashlib.sha256(content).hexdigest() != sha256:
        raise RecordError(f"{path}: its bytes are not those that the record names; restore the file")
    try:
        return _outcomes(path, content)
    except RecordError:
        raise
    except Exception as error:  # somebody's file, of which zipfile, zlib, numpy and json say many things
        raise RecordError(f"{path}: {_line(error)}; expected the form of results/images/file.py") from None


def _line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def _arrays(content: bytes) -> dict[str, np.ndarray]:
    """The arrays of a file by name, texts alone in about and ids, nothing but numbers in all others."""
    with zipfile.ZipFile(io.BytesIO(content)) as packed:
        size = sum(info.file_size for info in packed.infolist())
    if size > LARGEST:
        raise ValueError(f"would unpack to {size / 1e6:.0f} MB, more than {LARGEST / 1e6:.0f}")
    with np.load(io.BytesIO(content), allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    for name, array in arrays.items():
        kinds = "U" if name in ("about", "ids") else "biuf"
        if array.dtype.kind not in kinds or not array.dtype.itemsize:
            raise ValueError(f"{name} is of type {array.dtype.str}")
    return arrays


def _outcomes(path: Path, content: bytes) -> Outcomes:
    arrays = _arrays(content)
    about = json.loads(str(arrays.pop("about")))
    ids = tuple(map(str, arrays.pop("ids").tolist()))
    form, unit, metrics = about["form"], about["unit"], about["metrics"]
    if form != FORM:
        raise RecordError(f"{path}: form {form!r}; expected {FORM}: another version wrote it")
    if len(set(ids)) < len(ids):
        raise RecordError(f"{path}: an id is there twice; expected each image once")
    for metric, told in metrics.items():
        kind, name = told.get("kind"), told.get("of")
        lacking = [f"{name}.{part}" for part in PARTS.get(kind, ()) if f"{name}.{part}" not in arrays]
        if kind not in PARTS or lacking:
            got = f"kind {kind!r}" if kind not in PARTS else f"no {lacking[0]}"
            raise RecordError(f"{path}: {metric}: {got}; expected one of {', '.join(PARTS)}, with its arrays")
    return Outcomes(path, ids, str(unit), metrics, arrays)


def _right(n: int, unit: str, told: Any, label: np.ndarray, predicted: np.ndarray) -> MeanOf:
    by_class = told["kind"] == "right_per_class"
    return _mean(n, unit, told, (label == predicted).astype(float), label if by_class else np.zeros(n, int))


def _mean(n: int, unit: str, told: Any, value: np.ndarray, label: np.ndarray | None = None) -> MeanOf:
    classes = np.zeros(n, int) if label is None else label
    if value.shape != (n,) or classes.shape != (n,) or not n:
        raise ValueError(f"shapes {value.shape} and {classes.shape}, expected ({n},), at least one")
    if not (np.isfinite(value).all() and value.min() >= 0 and value.max() <= 1):
        raise ValueError("a value is not in [0, 1]")
    return MeanOf(value.astype(float), classes.astype(np.int64), unit)


def _precision(n: int, unit: str, told: Any, *parts: np.ndarray) -> AveragePrecision:
    image, score, edges, hit, ignored, truth_image, truth_class = parts
    if any(part.ndim != 1 for part in parts):
        raise ValueError("a column is no list of numbers")
    made = Matches(n, *(part if part is score else part.astype(np.int64) for part in parts))
    same = {len(column) for column in (image, score, hit, ignored)}
    inside = [truth_class, image, truth_image], [made.classes, n, n]
    if same != {int(edges[-1])} or edges[0] or (np.diff(made.edges) < 0).any():
        raise ValueError(f"columns of {sorted(same)} detections, the classes end at {int(edges[-1])}")
    if any(len(a) and not (a.min() >= 0 and a.max() < most) for a, most in zip(*inside, strict=True)):
        raise ValueError(f"a detection or object is of no image (of {n}) or class (of {made.classes})")
    thresholds = tuple(told["thresholds"])
    if not thresholds or not all(t in range(BITS) for t in thresholds):
        raise ValueError(f"thresholds {thresholds}, expected bits of `hit`")
    return AveragePrecision(made, told["kind"], thresholds, unit)


def _overlap(
    n: int, unit: str, told: Any, hits: np.ndarray, truth: np.ndarray, guess: np.ndarray
) -> MeanOverlap:
    shapes = [part.shape for part in (hits, truth, guess)]
    if any(len(shape) != 2 or shape != (n, shapes[0][1]) for shape in shapes):
        raise ValueError(f"shapes {shapes}, expected ({n}, classes)")
    return MeanOverlap(hits, truth, guess, unit)


MEASURES: dict[str, Callable[..., AnyMeasure]] = {
    "right": _right,
    "right_per_class": _right,
    "mean": _mean,
    "mean_per_class": _mean,
    **dict.fromkeys(("coco", "area", "eleven"), _precision),
    "iou": _overlap,
}
