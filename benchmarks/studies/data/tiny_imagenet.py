"""Reads Tiny-ImageNet: lists and links for pre-training, mosaics of its held-out classes with boxes."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.studies.data.picture import Picture, Thing

if TYPE_CHECKING:
    from PIL.Image import Image

HELD_OUT = 20  # the first of the sorted wnids; nothing is pre-trained on them
TUNE = 20  # the next of them, on which pre-trainings are tuned: their train images are pre-trained on
SIDE = 64  # pixels of an image
TRAIN, TEST = 2000, 250  # mosaics, of four different images each
FIFTH = 100  # images of a class, of 500, in the shorter list for pre-training
CORNERS = ((0, 0), (SIDE, 0), (0, SIDE), (SIDE, SIDE))
Boxed = tuple[Path, int, tuple[float, float, float, float]]  # image, class from 1, box


def wnids(source: Path) -> list[str]:
    """The 200 classes, sorted."""
    folders = (source / "tiny-imagenet-200" / "train").iterdir()
    return sorted(path.name for path in folders if path.is_dir())


def write_lists(source: Path, folder: Path) -> dict[str, int]:
    """Writes `pretrain.txt` (image, tab, class; relative to itself), a fifth of it, and `held_out` as links.

    `pretrain_fifth.txt` has the first FIFTH images of each class by name, for what needs several epochs.

    Returns the number of images of each. `folder` is where the files will lie in the end.
    """
    root, classes = (source / "tiny-imagenet-200").absolute(), wnids(source)
    images = [
        (order, f"{os.path.relpath(image, folder.absolute())}\t{number}")
        for number, wnid in enumerate(classes[HELD_OUT:])
        for order, image in enumerate(sorted((root / "train" / wnid / "images").iterdir()))
    ]
    lists = {
        "pretrain": [line for _, line in images],
        "pretrain_fifth": [line for order, line in images if order < FIFTH],
    }
    folder.mkdir(parents=True, exist_ok=True)
    for name, lines in lists.items():
        (folder / f"{name}.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    held = {"train": train_of(source, held_out(source)), "val": val_of(source, held_out(source))}
    for split, boxed in held.items():
        for image, number, _ in boxed:
            link = folder / "held_out" / split / classes[number - 1] / image.name
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(image.absolute())
    counts = {name: len(lines) for name, lines in lists.items()}
    return counts | {f"held_out/{split}": len(boxed) for split, boxed in held.items()}


def read_mosaics(source: Path) -> dict[str, list[Picture]]:
    """2,000 mosaics of train images and 250 of val images, 128 px, four objects each; no image twice."""
    classes = held_out(source)
    return {
        "train": _mosaics(train_of(source, classes), TRAIN, "train"),
        "test": _mosaics(val_of(source, classes), TEST, "val"),
    }


def held_out(source: Path) -> list[str]:
    """The wnids of the classes of which nothing is pre-trained on."""
    return wnids(source)[:HELD_OUT]


def for_tuning(source: Path) -> list[str]:
    """The wnids of the classes on which pre-trainings are tuned."""
    return wnids(source)[HELD_OUT : HELD_OUT + TUNE]


def train_of(source: Path, classes: Sequence[str]) -> list[Boxed]:
    """The 500 train images of each of these classes, numbered from 1, with their boxes."""
    found = []
    for number, wnid in enumerate(classes, 1):
        folder = source / "tiny-imagenet-200" / "train" / wnid
        for name, *corners in _rows(folder / f"{wnid}_boxes.txt"):
            found.append((folder / "images" / name, number, _box(corners)))
    return found


def val_of(source: Path, classes: Sequence[str]) -> list[Boxed]:
    """The 50 val images of each of these classes, numbered from 1, with their boxes."""
    root = source / "tiny-imagenet-200" / "val"
    numbers = {wnid: number for number, wnid in enumerate(classes, 1)}
    rows = _rows(root / "val_annotations.txt")
    return [
        (root / "images" / name, numbers[wnid], _box(corners))
        for name, wnid, *corners in rows
        if wnid in numbers
    ]


def _rows(path: Path) -> Iterable[list[str]]:
    return (line.split("\t") for line in path.read_text(encoding="utf-8").splitlines() if line)


def _box(corners: list[str]) -> tuple[float, float, float, float]:
    """x, y, width, height of the set's x0, y0, x1, y1, which are pixels and inclusive (0 to 63)."""
    x0, y0, x1, y1 = map(float, corners)
    return x0, y0, x1 - x0 + 1, y1 - y0 + 1


def _mosaics(images: list[Boxed], count: int, split: str) -> list[Picture]:
    """Four images each, in the order of the SHA-256 of their names; as many as there are, up to `count`."""
    drawn = sorted(images, key=lambda one: hashlib.sha256(f"mosaics/{one[0].name}".encode()).hexdigest())
    fours = [drawn[4 * n : 4 * n + 4] for n in range(min(count, len(drawn) // 4))]
    return [_mosaic(four, f"{split}_{number:04}") for number, four in enumerate(fours)]


def _mosaic(four: list[Boxed], name: str) -> Picture:
    things = [
        Thing(category, (box[0] + x, box[1] + y, *box[2:]))
        for (_, category, box), (x, y) in zip(four, CORNERS, strict=True)
    ]
    return Picture(name, _pasted([path for path, _, _ in four]), (2 * SIDE, 2 * SIDE), things)


def _pasted(paths: list[Path]) -> Callable[[], Image]:
    def load() -> Image:
        from PIL import Image

        canvas = Image.new("RGB", (2 * SIDE, 2 * SIDE))
        for path, corner in zip(paths, CORNERS, strict=True):
            with Image.open(path) as image:
                canvas.paste(image.convert("RGB"), corner)
        return canvas

    return load
