"""Cuts the objects of the drawn sets out into class folders: what pre-training sees and kNN classifies."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from PIL import Image

from transfer.datasets.registry import load_dataset

# VOC2012 has no test split, so pre-training sees no test image.
SPLITS = {"train": ("voc_2007_trainval", "voc_2012_trainval"), "test": ("voc_2007_test",)}
MARGIN = 0.15  # of a box's longer side, on each side: a little of the background


def cut_objects(root: Path, folder: Path) -> Path:
    """Writes folder/{train,test}/CLASS/NUMBER.jpg, an image for each object of the sets under `root`.

    The folder is there whole or not at all; a second call leaves it as it is. Returns it.
    """
    if folder.exists():
        return folder
    part = folder.with_name(f".{folder.name}.part-{os.getpid()}")
    shutil.rmtree(part, ignore_errors=True)
    for split, names in SPLITS.items():
        for name in names:
            _cut(root, name, part / split)
    part.rename(folder)
    return folder


def _cut(root: Path, name: str, folder: Path) -> None:
    dataset = load_dataset(name, root)
    classes = dataset.metadata["thing_classes"]
    for record in dataset.records:
        with Image.open(record["file_name"]) as file:
            image = file.convert("RGB")
        for number, found in enumerate(record["annotations"]):
            x0, y0, x1, y1 = found["bbox"]
            margin = MARGIN * max(x1 - x0, y1 - y0)
            box = (max(x0 - margin, 0), max(y0 - margin, 0))
            end = (min(x1 + margin, image.width), min(y1 + margin, image.height))
            path = folder / classes[found["category_id"]] / f"{name}-{record['image_id']}-{number}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            image.crop(tuple(map(round, (*box, *end)))).save(path, quality=95)
