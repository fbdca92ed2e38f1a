"""Writes tiny copies of public sets in their official layout, each image with its own bytes."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.io import savemat

from transfer.datasets.image_list.public.class_folders import SUBSETS, subset
from transfer.datasets.image_list.public.row import Row
from transfer.datasets.image_list.public.table import ROWS
from transfer.datasets.voc import CLASSES

NAMES = ("apple", "bread", "cake")
_drawn = itertools.count()


def image(path: Path) -> None:
    """Writes an image that no other has."""
    path.parent.mkdir(parents=True, exist_ok=True)
    number = next(_drawn)
    Image.new("RGB", (2, 1 + number % 7), (number % 256, number // 256, 9)).save(path, "PNG")


def text(path: Path, lines: list[str]) -> None:
    """Writes a list."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines))


def _row(name: str, counts: dict[str, int], classes: int = 3, **per_class: int) -> Row:
    return replace(ROWS[name], classes=classes, counts=counts, per_class=per_class)


def food101(root: Path) -> Row:
    home = root / "food-101"
    parts = {"train": range(4), "test": range(4, 6)}
    for part, numbers in parts.items():
        listed = {name: [f"{name}/{i}" for i in numbers] for name in NAMES[::-1]}
        text(home / "meta" / f"{part}.json", [json.dumps(listed)])
        for one in itertools.chain(*listed.values()):
            image(home / "images" / f"{one}.jpg")
    return _row("food101", {"train": 12, "test": 6}, train=4, test=2)


def aircraft(root: Path) -> Row:
    data = root / "fgvc-aircraft-2013b" / "data"
    text(data / "variants.txt", ["A 300", "B-1", "C2"])
    for part, first in (("train", 0), ("val", 3), ("test", 6)):
        names = [f"{first + i:07d}" for i in (2, 0, 1)]
        text(
            data / f"images_variant_{part}.txt",
            [f"{n} {v}" for n, v in zip(names, ["C2", "A 300", "B-1"], strict=True)],
        )
        for name in names:
            image(data / "images" / f"{name}.jpg")
    return _row("aircraft", {"train": 3, "val": 3, "test": 3})


def dtd(root: Path) -> Row:
    home = root / "dtd" / "dtd"
    for number, part in enumerate(("train", "val", "test")):
        listed = [f"{name}/{name}_{number}{i}.jpg" for name in NAMES for i in range(2)]
        text(home / "labels" / f"{part}1.txt", listed)
        for one in listed:
            image(home / "images" / one)
    return _row("dtd", {"train": 6, "val": 6, "test": 6}, train=2, val=2, test=2)


def pets(root: Path) -> Row:
    home = root / "oxford-iiit-pet"
    for part, numbers in (("trainval", range(3)), ("test", range(3, 5))):
        rows = [
            f"{n}_{i} {c} 1 {c}"
            for c, n in enumerate(("Abyssinian", "great_dane", "Bengal"), 1)
            for i in numbers
        ]
        text(home / "annotations" / f"{part}.txt", rows)
        for row in rows:
            image(home / "images" / f"{row.split()[0]}.jpg")
    return _row("pets", {"train": 9, "test": 6})


def flowers(root: Path) -> Row:
    home = root / "flowers-102"
    labels = np.array([1, 2, 3] * 5)
    for number in range(1, 16):
        image(home / "jpg" / f"image_{number:05d}.jpg")
    savemat(home / "imagelabels.mat", {"labels": labels[None]})
    savemat(home / "setid.mat", {"trnid": [[3, 1, 2]], "valid": [[4, 5, 6]], "tstid": [list(range(7, 16))]})
    return _row("flowers", {"train": 3, "val": 3, "test": 9}, train=1, val=1)


def cars(root: Path) -> Row:
    home = root / "stanford_cars"
    (home / "devkit").mkdir(parents=True)
    savemat(home / "devkit" / "cars_meta.mat", {"class_names": np.array([["A 1", "B 2", "C 3"]], object)})
    for part, path in (("train", "devkit/cars_train_annos.mat"), ("test", "cars_test_annos_withlabels.mat")):
        files = [f"{i:05d}.jpg" for i in range(1, 7)]
        rows = np.array(
            [(f, 1 + i % 3, 5) for i, f in enumerate(files)],
            [("fname", object), ("class", object), ("bbox_x1", object)],
        )
        savemat(home / path, {"annotations": rows[None]})
        for file in files:
            image(home / f"cars_{part}" / file)
    return _row("cars", {"train": 6, "test": 6})


def cub(root: Path) -> Row:
    home = root / "CUB_200_2011"
    classes = ["001.Auk", "002.Finch", "003.Crow"]
    files = [f"{name}/{name[4:]}_{i}.jpg" for name in classes for i in range(4)]
    text(home / "classes.txt", [f"{i} {name}" for i, name in enumerate(classes, 1)])
    text(home / "images.txt", [f"{i} {file}" for i, file in enumerate(files, 1)])
    text(home / "image_class_labels.txt", [f"{i} {1 + (i - 1) // 4}" for i in range(1, 13)])
    text(home / "train_test_split.txt", [f"{i} {int(i % 4 > 1)}" for i in range(1, 13)])
    for file in files:
        image(home / "images" / file)
    return _row("cub", {"train": 6, "test": 6})


def caltech101(root: Path) -> Row:
    home = root / "caltech101" / "101_ObjectCategories"
    for name in ("BACKGROUND_Google", "Faces", "accordion"):
        for i in range(1, 33):
            image(home / name / f"image_{i:04d}.jpg")
    (home / "BACKGROUND_Google" / "tmp").write_text("as in the archive")
    return _row("caltech101", {"train": 90, "test": 6}, train=30)


def eurosat(root: Path) -> Row:
    for name in NAMES:
        for i in range(10):
            image(root / "eurosat" / "2750" / name / f"{name}_{i}.jpg")
    return _row("eurosat", {"train": 24, "test": 6})


def sun397(root: Path) -> Row:
    home = root / "SUN397"
    classes = ["/a/abbey", "/a/airport/outdoor", "/b/bar"]
    text(home / "ClassName.txt", classes)
    files = {
        part: [f"{c}/sun_{part}{i}.jpg" for c in classes for i in (1, 0)] for part in ("Training", "Testing")
    }
    for part, listed in files.items():
        text(home / "Partitions" / f"{part}_01.txt", listed)
        for file in listed:
            image(home / file[1:])
    text(home / "Partitions" / "ClassName.txt", classes)
    image(home / "a" / "abbey" / "sun_unused.jpg")
    return _row("sun397", {"train": 6, "test": 6}, train=2, test=2)


def voc07(root: Path) -> Row:
    home = root / "VOC2007"
    for number, part in enumerate(("train", "val", "test")):
        ids = [f"{number}{i:05d}" for i in range(3)]
        text(home / "ImageSets" / "Main" / f"{part}.txt", ids)
        for column, name in enumerate(CLASSES):
            values = [1, -1 if column % 2 else 0, -1]
            text(
                home / "ImageSets" / "Main" / f"{name}_{part}.txt",
                [f"{i} {v:2d}" for i, v in zip(ids, values, strict=True)],
            )
        for one in ids:
            image(home / "JPEGImages" / f"{one}.jpg")
    return _row("voc07", {"train": 3, "val": 3, "test": 3}, 20)


def _cifar(root: Path, name: str, labels: int, files: dict[str, int], names: str) -> Row:
    home = root / ROWS[name].folder
    text(home / names, ["cat", "dog", "ship"])
    rng = np.random.default_rng(labels)
    for file, count in files.items():
        records = rng.integers(0, 256, (count, labels + 3072)).astype(np.uint8)
        records[:, :labels] = (np.arange(count) % 3)[:, None]
        (home / file).write_bytes(records.tobytes())
    train = sum(count for file, count in files.items() if not file.startswith("test"))
    return _row(name, {"train": train, "test": 3}, train=train // 3, test=1)


def cifar10(root: Path) -> Row:
    batches = {f"data_batch_{i}.bin": 3 for i in range(1, 6)}
    return _cifar(root, "cifar10", 1, batches | {"test_batch.bin": 3}, "batches.meta.txt")


def cifar100(root: Path) -> Row:
    return _cifar(root, "cifar100", 2, {"train.bin": 6, "test.bin": 3}, "fine_label_names.txt")


def _folders(root: Path, name: str, classes: tuple[str, ...], parts: dict[str, str], count: int = 2) -> Row:
    for folder in parts.values():
        for one in classes:
            for i in range(count):
                image(root / ROWS[name].folder / folder / one / f"{folder}{i}.JPEG")
    (root / ROWS[name].folder / "README.txt").write_text("as in the archive")
    return _row(name, dict.fromkeys(parts, len(classes) * count), len(classes), test=count)


_WNIDS = ("n01440764", "n01443537", "n01484850")


def imagenet(root: Path) -> Row:
    return _folders(root, "imagenet", _WNIDS, {"train": "train", "test": "val"}, 3)


def _part_of_imagenet(root: Path, share: int) -> Row:
    imagenet(root)
    listed = [f"{wnid}_{i}.JPEG" for wnid in _WNIDS for i in (2, 0)]
    for one in listed:
        image(root / "imagenet" / "train" / one.partition("_")[0] / one)
    text(root / "imagenet" / SUBSETS / f"{share}percent.txt", listed)
    row = _row(f"imagenet_{share}pct", {"train": 6, "test": 9}, test=3)
    return replace(row, read=subset(f"{share}percent.txt", ""))


def imagenet_1pct(root: Path) -> Row:
    return _part_of_imagenet(root, 1)


def imagenet_10pct(root: Path) -> Row:
    return _part_of_imagenet(root, 10)


def inat18(root: Path) -> Row:
    home = root / "inat2018"
    for part, name, count in (("train", "train2018", 4), ("test", "val2018", 2)):
        files = [f"train_val2018/Aves/{c}/{part}{i}.jpg" for c in (2, 0, 1) for i in range(count)]
        for file in files:
            image(home / file)
        images = [{"id": 7 * i, "file_name": file} for i, file in enumerate(files)]
        labels = [{"image_id": 7 * i, "category_id": int(f.split("/")[2])} for i, f in enumerate(files)]
        whole = {"images": images, "annotations": labels, "categories": [{"id": c} for c in range(3)]}
        text(home / f"{name}.json", [json.dumps(whole)])
    return _row("inat18", {"train": 12, "test": 6}, test=2)


def imagenet_v2(root: Path) -> Row:
    return _folders(root, "imagenet_v2", ("0", "10", "2"), {"test": ""})


def imagenet_a(root: Path) -> Row:
    return _folders(root, "imagenet_a", _WNIDS[1:], {"test": ""})


def imagenet_r(root: Path) -> Row:
    return _folders(root, "imagenet_r", _WNIDS[1:], {"test": ""})


def imagenet_sketch(root: Path) -> Row:
    return _folders(root, "imagenet_sketch", _WNIDS, {"test": ""})


WRITERS: dict[str, Callable[[Path], Row]] = {
    one.__name__: one
    for one in (
        food101, cifar10, cifar100, aircraft, dtd, pets, flowers, caltech101, sun397, cars, cub, eurosat,
        voc07, imagenet, imagenet_1pct, imagenet_10pct, inat18, imagenet_v2, imagenet_a, imagenet_r,
        imagenet_sketch,
    )
}  # fmt: skip


def first_image(root: Path, name: str) -> Path:
    """A file with images of the set, whatever its layout."""
    folder = root / ROWS[name].folder
    files = [p for p in sorted(folder.rglob("*")) if p.suffix in (".jpg", ".JPEG")]
    return files[0] if files else sorted(folder.glob("*.bin"))[0]
