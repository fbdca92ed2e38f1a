"""Reads the 412 COCO images of three public samples, each image once, with three merged classes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from benchmarks.studies.data.picture import Picture, Thing, opened, size_of
from benchmarks.studies.data.splits import draw

# Of COCO's twelve groups these are the ones whose objects are large enough at the study's size and number
# more than a hundred; 80 classes have five to ten training objects each and cannot be learned.
CLASSES = ("person", "vehicle", "animal")
TEST = 112
SAMPLES = (("COCO128", "train2017"), ("coco_mini", "train2017"), ("coco_mini", "val2017"))
# The 80 classes in COCO's order; YOLO counts them from 0. Vehicles are 1 to 8, animals 14 to 23.
YOLO = {0: 1} | dict.fromkeys(range(1, 9), 2) | dict.fromkeys(range(14, 24), 3)


def read_coco412(source: Path) -> dict[str, list[Picture]]:
    """300 + 112 images, drawn by groups of near duplicates over all samples."""
    pictures: dict[str, Picture] = {}
    for folder, split in SAMPLES:
        for picture in _of_json(source / folder, split):
            pictures.setdefault(picture.name, picture)
    for picture in _of_yolo(source / "coco128_yolo"):
        pictures.setdefault(picture.name, picture)
    train, test = draw([pictures[name] for name in sorted(pictures)], TEST, "coco412")
    return {"train": train, "test": test}


def _of_json(root: Path, split: str) -> list[Picture]:
    text = (root / "annotations" / f"instances_{split}.json").read_text(encoding="utf-8")
    content = json.loads(text)
    groups = {c["id"]: c["supercategory"] for c in content["categories"]}
    things: dict[int, list[Thing]] = {image["id"]: [] for image in content["images"]}
    for one in content["annotations"]:
        group = groups[one["category_id"]]
        if group in CLASSES:
            thing = Thing(CLASSES.index(group) + 1, tuple(one["bbox"]), bool(one["iscrowd"]))
            things[one["image_id"]].append(thing)
    return [_picture(root / split, image, things[image["id"]]) for image in content["images"]]


def _picture(folder: Path, image: dict[str, Any], things: list[Thing]) -> Picture:
    path = folder / image["file_name"]
    return Picture(path.stem, opened(path), (image["width"], image["height"]), things)


def _of_yolo(root: Path) -> list[Picture]:
    """Boxes are class, centre, width and height in parts of the image; crowds are not told apart."""
    found = []
    for path in sorted((root / "images" / "val2017").glob("*.jpg")):
        labels = root / "object_detection" / "labels" / "val2017" / f"{path.stem}.txt"
        width, height = size_of(path)
        things = []
        for line in labels.read_text(encoding="utf-8").splitlines() if labels.exists() else ():
            kind, x, y, w, h = (float(word) for word in line.split())
            if int(kind) in YOLO:
                box = ((x - w / 2) * width, (y - h / 2) * height, w * width, h * height)
                things.append(Thing(YOLO[int(kind)], box))
        found.append(Picture(path.stem, opened(path), (width, height), things))
    return found
