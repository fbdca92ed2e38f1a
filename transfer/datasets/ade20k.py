"""Reads ADE20K in the form of the scene parsing benchmark of 2016: 150 classes, `ADEChallengeData2016`.

An annotation holds 0 where nothing is judged, and the class plus one elsewhere, as objectInfo150.txt counts
them. Detectron2's shifted copies, `annotations_detectron2`, are not used.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from transfer.datasets.base import Dataset, Spec
from transfer.datasets.files import listing, need
from transfer.datasets.findings import Findings
from transfer.datasets.mask_images import read_mask
from transfer.datasets.pairs import Pair, dataset_of_pairs
from transfer.errors import DataError

FOLDER = "ADEChallengeData2016"
SPLITS = {"train": "training", "val": "validation"}
# The first word of each class in objectInfo150.txt, in its order.
CLASSES = (
    "wall", "building", "sky", "floor", "tree", "ceiling", "road", "bed", "window", "grass", "cabinet",
    "sidewalk", "person", "earth", "door", "table", "mountain", "plant", "curtain", "chair", "car",
    "water", "painting", "sofa", "shelf", "house", "sea", "mirror", "rug", "field", "armchair", "seat",
    "fence", "desk", "rock", "wardrobe", "lamp", "tub", "rail", "cushion", "base", "box", "column",
    "signboard", "chest of drawers", "counter", "sand", "sink", "skyscraper", "fireplace", "refrigerator",
    "grandstand", "path", "stairs", "runway", "case", "pool table", "pillow", "screen door", "stairway",
    "river", "bridge", "bookcase", "blind", "coffee table", "toilet", "flower", "book", "hill", "bench",
    "countertop", "stove", "palm", "kitchen island", "computer", "swivel chair", "boat", "bar",
    "arcade machine", "hovel", "bus", "towel", "light", "truck", "tower", "chandelier", "awning",
    "street lamp", "booth", "tv", "plane", "dirt track", "clothes", "pole", "land", "bannister",
    "escalator", "ottoman", "bottle", "buffet", "poster", "stage", "van", "ship", "fountain",
    "conveyer belt", "canopy", "washer", "plaything", "pool", "stool", "barrel", "basket", "falls", "tent",
    "bag", "minibike", "cradle", "oven", "ball", "food", "step", "tank", "trade name", "microwave", "pot",
    "animal", "bicycle", "lake", "dishwasher", "screen", "blanket", "sculpture", "hood", "sconce", "vase",
    "traffic light", "tray", "trash can", "fan", "pier", "crt screen", "plate", "monitor",
    "bulletin board", "shower", "radiator", "glass", "clock", "flag",
)  # fmt: skip


def read_shifted(path: str | os.PathLike[str]) -> np.ndarray:
    """(H, W) uint8 classes of an annotation, 255 where it is 0.

    DataError if it is no image of one channel, or holds more than the classes.
    """
    pixels = read_mask(path)
    if pixels.max(initial=0) > len(CLASSES):
        raise DataError(
            f"{path}: value {pixels.max()}; expected 0 (not judged) or a class from 1 to {len(CLASSES)}"
        )
    return pixels.astype(np.uint8) - np.uint8(1)  # 0 becomes 255


def _layout(split: str) -> tuple[str, ...]:
    part = SPLITS[split]
    return (f"{FOLDER}/images/{part}/*.jpg", f"{FOLDER}/annotations/{part}/*.png")


def read_ade20k(name: str, root: Path, findings: Findings) -> Dataset[None]:
    """Reads ade20k_sem_seg_{train,val}: the images in the order of their names, each with its annotation."""
    split = name.removeprefix("ade20k_sem_seg_")
    layout, part = _layout(split), SPLITS[split]
    images = need(root / FOLDER / "images" / part, name, root, layout)
    masks = need(root / FOLDER / "annotations" / part, name, root, layout)
    pairs: list[Pair] = []
    present, annotated = sorted(listing(images)), listing(masks)
    for file in present:
        image_id, ending = os.path.splitext(file)
        if ending != ".jpg":
            findings.oddity("stray-file", f"{part}/{file}", "", "file", None, "does not end in .jpg")
        elif f"{image_id}.png" not in annotated:
            value = f"annotations/{part}/{image_id}.png"
            findings.error("missing-mask", f"{part}/{file}", image_id, "mask", value, "no such file")
        else:
            pairs.append((image_id, str(images / file), str(masks / f"{image_id}.png")))
    known = set(present)
    for file in sorted(annotated):
        image_id, ending = os.path.splitext(file)
        if ending == ".png" and f"{image_id}.jpg" not in known:
            value = f"images/{part}/{image_id}.jpg"
            findings.error("missing-image", f"{part}/{file}", image_id, "image", value, "no such file")
    if not pairs and not findings.errors:
        raise DataError(f"{name}: no images *.jpg in {images}; expected {', '.join(layout)}")
    metadata = {
        "evaluator": "ade20k_sem_seg",
        "stuff_classes": list(CLASSES),
        "sem_seg_encoding": "one_more",
        "split": split,
        "data_root": str(root),
    }
    return dataset_of_pairs(name, pairs, read_shifted, metadata, findings)


_TRAINING_IMAGES = {"train": 20210}  # and 2,000 to test on
SPECS = [
    Spec(f"ade20k_sem_seg_{split}", read_ade20k, _layout(split), _TRAINING_IMAGES.get(split))
    for split in SPLITS
]
