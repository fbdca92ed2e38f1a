"""Makes tiny sources in the layouts of the public checkouts, so that every preparer has something to read."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from PIL import Image

from tests.transfer.datasets.voc_kit import voc_xml


def picture(seed: int, size: tuple[int, int] = (60, 40)) -> Image.Image:
    """A picture like no other: coarse noise, which a fingerprint tells apart."""
    coarse = np.random.default_rng(seed).integers(0, 256, (8, 9, 3), np.uint8)
    return Image.fromarray(coarse).resize(size, Image.Resampling.NEAREST)


def save(image: Image.Image, path: Path) -> None:
    """Writes an image, and the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path)


def penn_fudan(root: Path, count: int = 8) -> None:
    """Images of 448 x 300 with two persons each, of which the second is one pixel."""
    folder = root / "PennFudan" / "data" / "PennFudanPed"
    for n in range(count):
        instances = np.zeros((300, 448), np.uint8)
        instances[100:200, 40:80] = 1
        instances[10, 10] = 2
        save(picture(n, (448, 300)), folder / "PNGImages" / f"P{n}.png")
        save(Image.fromarray(instances), folder / "PedMasks" / f"P{n}_mask.png")


def bccd(root: Path) -> None:
    """Four images for training and two for the test; the last for training is a copy of a test image."""
    kit = root / "BCCD_Dataset" / "BCCD"
    seeds = {"t0": 0, "t1": 1, "t2": 2, "t3": 11, "v0": 10, "v1": 11}
    for name, seed in seeds.items():
        save(picture(seed), kit / "JPEGImages" / f"{name}.jpg")
        objects = [("RBC", 1, 1, 30, 20, 0), ("WBC", 31, 11, 60, 40, 0), ("RBC", 5, 5, 5, 5, 0)]
        (kit / "Annotations").mkdir(exist_ok=True)
        (kit / "Annotations" / f"{name}.xml").write_text(voc_xml(name, 60, 40, objects))
    lists = kit / "ImageSets" / "Main"
    lists.mkdir(parents=True)
    (lists / "trainval.txt").write_text("t0\nt1\nt2\nt3\n")
    (lists / "test.txt").write_text("v0\nv1\n")


def voc100(root: Path, count: int = 6) -> None:
    """The whole checkout's layout, objects of two classes."""
    base = root / "voc2012_det100" / "data" / "database"
    (base / "gts" / "pascalvoc_format").mkdir(parents=True)
    for n in range(count):
        save(picture(n), base / "images" / f"i{n}.jpg")
        objects = [("dog", 1, 1, 30, 20, 0), ("cat", 31, 11, 60, 40, 0)]
        (base / "gts" / "pascalvoc_format" / f"i{n}.xml").write_text(voc_xml(f"i{n}", 60, 40, objects))


def raccoon(root: Path, count: int = 6) -> None:
    """Images with one animal each; the last is a copy of the first."""
    base = root / "raccoon_dataset"
    (base / "annotations").mkdir(parents=True)
    for n in range(count):
        save(picture(n % (count - 1)), base / "images" / f"raccoon-{n}.jpg")
        words = voc_xml(f"raccoon-{n}", 60, 40, [("raccoon", 11, 6, 50, 35, 0)])
        (base / "annotations" / f"raccoon-{n}.xml").write_text(words)


def coco412(root: Path) -> None:
    """One image in two samples, one of its own in each, and two with YOLO's boxes."""
    groups = {1: ("person", "person"), 3: ("car", "vehicle"), 44: ("bottle", "kitchen")}
    categories = [{"id": i, "name": n, "supercategory": s} for i, (n, s) in groups.items()]
    for folder, split, numbers in (
        ("COCO128", "train2017", (1, 2)),
        ("coco_mini", "train2017", (2, 3)),
        ("coco_mini", "val2017", (4,)),
    ):
        images, annotations = [], []
        for n in numbers:
            save(picture(n), root / folder / split / f"{n:012}.jpg")
            images.append({"id": n, "file_name": f"{n:012}.jpg", "width": 60, "height": 40})
            for k, category in enumerate(groups):
                one = {
                    "image_id": n,
                    "category_id": category,
                    "bbox": [10.0 * k, 5, 20, 10],
                    "iscrowd": k % 2,
                }
                annotations.append(one | {"id": 100 * n + k, "area": 200})
        path = root / folder / "annotations" / f"instances_{split}.json"
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps({"images": images, "annotations": annotations, "categories": categories}))
    labels = root / "coco128_yolo" / "object_detection" / "labels" / "val2017"
    labels.mkdir(parents=True)
    for n in (5, 6):
        save(picture(n), root / "coco128_yolo" / "images" / "val2017" / f"{n:012}.jpg")
    (labels / f"{5:012}.txt").write_text("0 0.5 0.5 0.5 0.5\n2 0.25 0.5 0.5 1.0\n39 0.5 0.5 0.1 0.1\n")


def tiny_imagenet(root: Path, classes: int = 22, train: int = 4, val: int = 2) -> None:
    """So many classes, of which twenty are held out; image n of a class has a box from n to 40 + n."""
    base = root / "tiny-imagenet-200"
    rows = []
    for c in range(classes):
        wnid = f"n{c:08}"
        boxes = []
        for n in range(train):
            name = f"{wnid}_{n}.JPEG"
            image = Image.new("RGB", (64, 64), (10 * c % 256, 60 * n % 256, 99))
            save(image, base / "train" / wnid / "images" / name)
            boxes.append(f"{name}\t{n}\t{n}\t{40 + n}\t{50 + n}\n")
        (base / "train" / wnid / f"{wnid}_boxes.txt").write_text("".join(boxes))
        for n in range(val):
            name = f"val_{c}_{n}.JPEG"
            save(Image.new("L", (64, 64), 10 * c % 256), base / "val" / "images" / name)
            rows.append(f"{name}\t{wnid}\t0\t32\t44\t62\n")
    (base / "val" / "val_annotations.txt").write_text("".join(rows))
