"""Random VOC scenes for the metric tests, from numpy's frozen RandomState so that golden numbers stay valid.

Coordinates lie on a grid of 0.5 px and scores differ by at least 0.001: Detectron2's rounding then changes
nothing, and its unstable sort has no ties to break.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tests.transfer.datasets.voc_kit import write_voc
from transfer.datasets.base import Dataset
from transfer.datasets.registry import load_dataset
from transfer.datasets.voc import CLASSES
from transfer.evaluation.prediction import Prediction


def make_scene(
    root: Path, seed: int, year: int, images: int = 40, classes: int = 20
) -> tuple[Dataset, list[Prediction]]:
    """A devkit under `root` and predictions on it: jittered, doubled, missed, invented, difficult boxes."""
    rng = np.random.RandomState(seed)
    split = "test" if year == 2007 else "val"
    kit: dict[str, tuple[int, int, list[tuple]]] = {}
    raw: list[tuple[str, int, list[float]]] = []  # image id, class, 0-based box
    for i in range(images):
        width, height = int(rng.randint(120, 400)), int(rng.randint(120, 400))
        objects = []
        for k in range(rng.randint(1, 7)):
            # the first images go through all classes: Detectron2 counts a class without ground truth as 0
            cls = (i * 3 + k) % classes if i < classes else rng.randint(classes)
            w, h = rng.randint(15, width // 2), rng.randint(15, height // 2)
            x, y = rng.randint(1, width - w), rng.randint(1, height - h)
            objects.append((CLASSES[cls], x, y, x + w, y + h, int(rng.rand() < 0.15)))
            for _ in range(rng.choice([0, 1, 1, 1, 2, 3])):
                jitter = np.round(rng.randn(4) * rng.choice([0, 2, 8]) * 2) / 2
                raw.append((f"{i:06d}", cls, (np.array([x - 1, y - 1, x + w, y + h]) + jitter).tolist()))
        for _ in range(rng.randint(0, 4)):
            x, y = rng.randint(0, width - 12, 1)[0], rng.randint(0, height - 12, 1)[0]
            raw.append((f"{i:06d}", int(rng.randint(classes)), [x, y, x + 11.5, y + 10]))
        kit[f"{i:06d}"] = (width, height, objects)
    write_voc(root, kit, year, split)
    scores: dict[int, list[float]] = {}
    for cls in range(classes):
        n = sum(1 for r in raw if r[1] == cls)
        scores[cls] = ((rng.permutation(999)[:n] + 1) / 1000.0).tolist()
    scored = [(image, cls, box, scores[cls].pop()) for image, cls, box in raw]
    predictions = []
    for image in sorted({r[0] for r in raw}):
        of_image = [r for r in scored if r[0] == image]
        predictions.append(
            Prediction(
                image,
                np.array([b for _, _, b, _ in of_image], np.float32).reshape(-1, 4),
                np.array([s for *_, s in of_image], np.float32),
                np.array([c for _, c, _, _ in of_image], np.int64),
            )
        )
    return load_dataset(f"voc_{year}_{split}", root), predictions
