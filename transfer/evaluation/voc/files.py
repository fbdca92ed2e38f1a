"""Writes and reads VOC's detection files: one a class, its lines `<image_id> <score> <x1> <y1> <x2> <y2>`.

Corners count from 1. The devkit names the files `comp4_det_<split>_<class>.txt`. Numbers are written in full,
so that reading back and scoring again gives the same metric to the last bit.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from boltons.fileutils import atomic_save

from transfer.datasets.base import Dataset
from transfer.errors import DataError
from transfer.evaluation.prediction import Prediction, check_predictions


def _name(dataset: Dataset[None], cls: str) -> str:
    return f"comp4_det_{dataset.metadata['split']}_{cls}.txt"


def write_voc(dataset: Dataset[None], predictions: Sequence[Prediction], directory: Path) -> None:
    """Writes one file a class, also for classes without detections; each file is replaced atomically."""
    names = dataset.metadata["thing_classes"]
    check_predictions(predictions, (r["image_id"] for r in dataset.records), len(names))
    lines: list[list[str]] = [[] for _ in names]
    for p in predictions:
        corners = (p.boxes.astype(float) + np.array([1.0, 1.0, 0.0, 0.0])).tolist()
        for cls, score, box in zip(p.classes.tolist(), p.scores.tolist(), corners, strict=True):
            lines[cls].append(f"{p.image_id} {score!r} " + " ".join(map(repr, box)))
    directory.mkdir(parents=True, exist_ok=True)
    for name, content in zip(names, lines, strict=True):
        with atomic_save(str(directory / _name(dataset, name)), text_mode=True, overwrite_part=True) as f:
            f.write("".join(line + "\n" for line in content))


def read_voc_files(dataset: Dataset[None], directory: Path) -> list[Prediction]:
    """Reads what `write_voc` (or a devkit user) wrote; DataError names file and line of anything else."""
    names = dataset.metadata["thing_classes"]
    rows: dict[str, list[tuple[list[float], int]]] = {}
    paths = [directory / _name(dataset, name) for name in names]
    missing = [p.name for p in paths if not p.is_file()]
    if missing:
        raise DataError(
            f"{directory}: {len(missing)} of {len(names)} class files are missing, first {missing[0]}; "
            "expected one file for each class, empty where nothing was detected"
        )
    for cls, path in enumerate(paths):
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            words = line.split()
            if not words:
                continue
            try:
                values = [float(w) for w in words[1:]]
            except ValueError:
                values = []
            if len(values) != 5:
                expected = "<image_id> <score> <x1> <y1> <x2> <y2>"
                raise DataError(f"{path}: line {number}: {line[:60]!r}; expected {expected}")
            rows.setdefault(words[0], []).append((values, cls))
    return [_prediction(image_id, of_image) for image_id, of_image in rows.items()]


def _prediction(image_id: str, rows: list[tuple[list[float], int]]) -> Prediction:
    table = np.array([values for values, _ in rows])
    boxes = (table[:, 1:] - np.array([1.0, 1.0, 0.0, 0.0])).astype(np.float32)
    return Prediction(
        image_id, boxes, table[:, 0].astype(np.float32), np.array([c for _, c in rows], np.int64)
    )
