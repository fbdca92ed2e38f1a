"""Reads the sets whose splits are lists of text: Food-101, Aircraft, DTD, Pets, SUN397, CUB."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from transfer.datasets.image_list.public.row import Entry, Listing, lines, scrambled, words
from transfer.errors import DataError


def read_food101(root: Path, seed: int) -> Listing:
    """Images as `meta/{train,test}.json` list them by class."""
    content = {part: _by_class(root / "meta" / f"{part}.json") for part in ("train", "test")}
    classes, parts = tuple(sorted(content["train"])), {}
    number = {name: i for i, name in enumerate(classes)}
    for part, images_of in content.items():
        path = root / "meta" / f"{part}.json"
        pairs = [(name, image) for name, images in images_of.items() for image in images]
        for name, image in pairs:
            if name not in number or image.rpartition("/")[0] != name:
                raise scrambled(path, f"{image} stands under class {name}")
        parts[part] = [Entry(image, f"images/{image}.jpg", number[name]) for name, image in pairs]
    return Listing(classes, parts)


def _by_class(path: Path) -> dict[str, list[str]]:
    try:
        content: Any = json.loads("\n".join(lines(path)))
        return {name: [str(image) for image in images] for name, images in content.items()}
    except (ValueError, AttributeError, TypeError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{path}: no JSON of images by class; take the file anew") from None


def read_aircraft(root: Path, seed: int) -> Listing:
    """Variants, as `data/images_variant_{train,val,test}.txt` list them."""
    data = root / "data"
    classes = tuple(lines(data / "variants.txt"))
    number = {name: i for i, name in enumerate(classes)}
    parts = {}
    for part in ("train", "val", "test"):
        path = data / f"images_variant_{part}.txt"
        entries = []
        for line in lines(path):
            image, _, variant = line.partition(" ")
            if variant not in number:
                raise scrambled(path, f"image {image} has the variant {variant!r}, which variants.txt lacks")
            entries.append(Entry(image, f"data/images/{image}.jpg", number[variant]))
        parts[part] = entries
    return Listing(classes, parts)


def read_dtd(root: Path, seed: int) -> Listing:
    """The first of the ten partitions, `labels/{train,val,test}1.txt`."""
    listed = {part: lines(root / "labels" / f"{part}1.txt") for part in ("train", "val", "test")}
    classes = tuple(sorted({line.partition("/")[0] for part in listed.values() for line in part}))
    number = {name: i for i, name in enumerate(classes)}
    parts = {}
    for part, images in listed.items():
        for image in images:
            name, _, file = image.partition("/")
            if not file.startswith(f"{name}_"):
                raise scrambled(root / "labels" / f"{part}1.txt", f"{image} is not named after its class")
        parts[part] = [Entry(i, f"images/{i}", number[i.partition("/")[0]]) for i in images]
    return Listing(classes, parts)


def read_pets(root: Path, seed: int) -> Listing:
    """Breeds, as `annotations/{trainval,test}.txt` number them from 1; there is no val."""
    names: dict[int, str] = {}
    parts = {}
    for part, list_name in (("train", "trainval"), ("test", "test")):
        path = root / "annotations" / f"{list_name}.txt"
        rows = [row for row in words(path, 4, "image, class, species, breed") if row[0][0] != "#"]
        entries = []
        for image, number, *_ in rows:
            breed = image.rpartition("_")[0]
            label = int(number) if number.isdecimal() else 0
            if names.setdefault(label, breed) != breed or not label:
                raise scrambled(path, f"image {image} has the class {number} of {names.get(label)}")
            entries.append(Entry(image, f"images/{image}.jpg", label - 1))
        parts[part] = entries
    return Listing(_numbered(names, root / "annotations"), parts)


def read_sun397(root: Path, seed: int) -> Listing:
    """The first of the ten partitions, `Training_01.txt` and `Testing_01.txt`; the other images are not used.

    The lists may lie in `Partitions` or beside the images.
    """
    folder = root / "Partitions" if (root / "Partitions").is_dir() else root
    classes = tuple(lines(folder / "ClassName.txt"))
    number = {name: i for i, name in enumerate(classes)}
    parts = {}
    for part, file in (("train", "Training_01.txt"), ("test", "Testing_01.txt")):
        entries = []
        for image in lines(folder / file):
            name = image.rpartition("/")[0]
            if name not in number:
                raise scrambled(folder / file, f"{image} lies in no class of ClassName.txt")
            entries.append(Entry(image.lstrip("/"), image.lstrip("/"), number[name]))
        parts[part] = entries
    return Listing(tuple(name.lstrip("/")[2:] for name in classes), parts)


def read_cub(root: Path, seed: int) -> Listing:
    """The split by image, `train_test_split.txt`; classes are numbered from 1 and named in their folders."""
    names = {int(n): name for n, name in words(root / "classes.txt", 2, "number, class")}
    label = dict(words(root / "image_class_labels.txt", 2, "image, class"))
    trains = dict(words(root / "train_test_split.txt", 2, "image, 1 for train"))
    parts: dict[str, list[Entry]] = {"train": [], "test": []}
    path = root / "images.txt"
    for key, file in words(path, 2, "image, file"):
        number = int(label.get(key, 0))
        if names.get(number) != file.partition("/")[0] or trains.get(key) not in ("0", "1"):
            raise scrambled(path, f"image {key}, {file}, has the class {number} ({names.get(number)})")
        parts["train" if trains[key] == "1" else "test"].append(Entry(file, f"images/{file}", number - 1))
    return Listing(_numbered(names, root / "classes.txt"), parts)


def _numbered(names: dict[int, str], path: Path) -> tuple[str, ...]:
    """Names in the order of their numbers, which must be 1 to the number of classes, each its own."""
    if sorted(names) != list(range(1, len(names) + 1)) or len(set(names.values())) < len(names):
        raise scrambled(path, f"its {len(names)} classes do not count from 1, or two have one name")
    return tuple(names[number] for number in sorted(names))
