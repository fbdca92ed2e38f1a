"""Random Cityscapes frames: instances, groups, void, instances of classes that are not judged; small and
overlapping masks, ties, empty ones.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from transfer.datasets.base import Dataset
from transfer.datasets.cityscapes.labels import HAVE_INSTANCES, ID_OF, INSTANCES, NAMES, SEMANTIC
from transfer.datasets.coco.rle import encode
from transfer.datasets.registry import load_dataset
from transfer.evaluation.prediction import Prediction

HEIGHT, WIDTH = 48, 80


def make(root: Path, seed: int, semantic: bool, images: int = 4) -> tuple[Dataset, list[Prediction]]:
    """The published files under `root`, and predictions on them."""
    rng = np.random.RandomState(seed)
    maps = {f"town_{i:06d}_{seed:06d}": _instance_map(rng) for i in range(images)}
    for part in ("leftImg8bit", "gtFine"):
        (root / "cityscapes" / part / "val" / "town").mkdir(parents=True)
    for name, ids in maps.items():
        folder = root / "cityscapes" / "gtFine" / "val" / "town"
        picture = root / "cityscapes" / "leftImg8bit" / "val" / "town" / f"{name}_leftImg8bit.png"
        Image.new("RGB", (WIDTH, HEIGHT)).save(picture)
        Image.fromarray(ids.astype(np.uint16)).save(folder / f"{name}_gtFine_instanceIds.png")
        labels = np.where(ids < 1000, ids, ids // 1000).astype(np.uint8)
        Image.fromarray(labels).save(folder / f"{name}_gtFine_labelIds.png")
    task = "sem_seg" if semantic else "instance_seg"
    dataset = load_dataset(f"cityscapes_fine_{task}_val", root)
    predict = _classes if semantic else _masks
    return dataset, [predict(rng, name, ids) for name, ids in maps.items()]


def _rectangle(rng) -> tuple[slice, slice]:
    h, w = rng.randint(4, 24), rng.randint(4, 32)
    y, x = rng.randint(0, HEIGHT - h + 1), rng.randint(0, WIDTH - w + 1)
    return slice(y, y + h), slice(x, x + w)


def _instance_map(rng) -> np.ndarray:
    ids = np.full((HEIGHT, WIDTH), ID_OF["road"])
    count: dict[str, int] = {}
    few = rng.choice(INSTANCES, 3, replace=False)  # so that instances of one class meet
    for _ in range(rng.randint(4, 14)):
        name = str(rng.choice([*few, *few, *few, "caravan", str(rng.choice(NAMES))]))
        value = ID_OF[name]
        if name in HAVE_INSTANCES and rng.rand() < 0.85:  # else a group
            value, count[name] = 1000 * value + count.get(name, 0), count.get(name, 0) + 1
        ids[_rectangle(rng)] = value
    return ids


def _masks(rng, name: str, ids: np.ndarray) -> Prediction:
    masks, classes = [], []
    for value in np.unique(ids):
        label = NAMES[value // 1000 if value >= 1000 else value]
        if label not in INSTANCES:
            continue
        for _ in range(rng.choice([0, 1, 1, 2])):
            mask = np.roll(ids == value, rng.randint(-2, 3, 2), (0, 1))
            mask[:, rng.rand(WIDTH) < rng.choice([0.0, 0.3])] = False
            masks.append(mask)
            classes.append(INSTANCES.index(label) if rng.rand() < 0.9 else rng.randint(len(INSTANCES)))
    for kind in rng.randint(0, 3, rng.randint(0, 4)):  # empty, invented, the whole image
        mask = np.zeros(ids.shape, bool)
        mask[_rectangle(rng) if kind else slice(0, 0)] = True
        masks.append(mask | (kind == 2))
        classes.append(rng.randint(len(INSTANCES)))
    n = len(masks)
    scores = rng.choice([0.25, 0.5, 0.5, 0.75], n) if rng.rand() < 0.5 else rng.rand(n)
    rles = encode(np.array(masks)) if n else []
    boxes = np.zeros((n, 4), np.float32)
    return Prediction(name, boxes, scores.astype(np.float32), np.array(classes, np.int64), masks=rles)


def _classes(rng, name: str, ids: np.ndarray) -> Prediction:
    labels = np.where(ids < 1000, ids, ids // 1000)
    classes = np.array([SEMANTIC.index(n) if n in SEMANTIC else 0 for n in NAMES])[labels]
    for _ in range(rng.randint(0, 6)):
        classes[_rectangle(rng)] = rng.randint(len(SEMANTIC))
    return Prediction(name, sem_seg=classes.astype(np.uint8))
