"""Defines the predictions on one image, in a form that no engine owns, and checks them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from transfer.errors import DataError

NOT_FINITE = "box or score is NaN or infinite"


def _empty(*shape: int) -> Any:
    return field(default_factory=lambda: np.zeros(shape, np.float32))


@dataclass
class Prediction:
    """Detections of one image, in pixels of the original image.

    boxes: (N, 4) float32, [x0, y0, x1, y1], 0-based. scores: (N,) float32. classes: (N,) int64, contiguous
        from 0.
    masks: N COCO run-length dicts {"size": [H, W], "counts": bytes or str} (see `coco.rle.encode`).
    keypoints: (N, K, 3) float32, x, y, score.
    densepose: N mappings {"labels": (h, w) uint8 part 0..24, "uv": (2, h, w) float32 in [0, 1]} over the
        box, w and h cut to integers and at least 1 (see `densepose.surface`).
    sem_seg: (H, W) integer class map, for the semantic tasks; boxes, scores and classes are then empty.
    """

    image_id: str | int
    boxes: np.ndarray = _empty(0, 4)
    scores: np.ndarray = _empty(0)
    classes: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    masks: Sequence[dict[str, Any]] | None = None
    keypoints: np.ndarray | None = None
    densepose: Sequence[Mapping[str, np.ndarray]] | None = None
    sem_seg: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.scores)


def check_predictions(
    predictions: Sequence[Prediction], image_ids: Iterable[str | int], num_classes: int
) -> None:
    """Raises DataError unless each is of a known image, once, with equal lengths and finite numbers.

    Images without a prediction count as images without detections.
    """
    known = set(image_ids)
    seen: set[str | int] = set()
    for p in predictions:
        if p.image_id not in known:
            raise DataError(f"{_of(p)}: no such image in the data set of {len(known)} images; wrong split?")
        if p.image_id in seen:
            raise DataError(f"{_of(p)}: given twice; expected one Prediction for each image")
        seen.add(p.image_id)
        n = len(p.scores)
        if p.boxes.shape != (n, 4) or p.classes.shape != (n,):
            shapes = f"boxes {p.boxes.shape}, scores {p.scores.shape}, classes {p.classes.shape}"
            raise DataError(f"{_of(p)}: {shapes}; expected (N, 4), (N,), (N,)")
        for name in ("masks", "keypoints", "densepose"):
            part = getattr(p, name)
            if part is not None and len(part) != n:
                raise DataError(f"{_of(p)}: {len(part)} {name} for {n} boxes; expected one each")
    if not predictions:
        return
    # All predictions at once; only where something is wrong, one by one.
    boxes, scores, classes = (np.concatenate([getattr(p, k) for p in predictions]) for k in _COLUMNS)
    if not (np.isfinite(boxes).all() and np.isfinite(scores).all()):
        bad = next(p for p in predictions if not (np.isfinite(p.boxes).all() and np.isfinite(p.scores).all()))
        raise DataError(f"{_of(bad)}: {NOT_FINITE}; a metric of it would mean nothing")
    if len(classes) and (classes.min() < 0 or classes.max() >= num_classes):
        bad = next(
            p for p in predictions if len(p) and (p.classes.min() < 0 or p.classes.max() >= num_classes)
        )
        got = f"{bad.classes.min()}..{bad.classes.max()}"
        raise DataError(f"{_of(bad)}: class {got}; expected 0..{num_classes - 1}")


_COLUMNS = ("boxes", "scores", "classes")


def _of(prediction: Prediction) -> str:
    return f"prediction of image {prediction.image_id!r}"
