"""Reads the sets without an official split, Caltech-101 and EuroSAT: a seed draws what is trained on."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

from transfer.datasets.image_list.public.row import Entry, Listing
from transfer.errors import DataError

TRAINED = 30  # images of a class of Caltech-101
SHARE = 0.8  # of each class of EuroSAT


def read_caltech101(root: Path, seed: int) -> Listing:
    """102 classes, BACKGROUND_Google among them: 30 drawn images of each to train on, the others to test."""
    return _drawn(root / "101_ObjectCategories", "101_ObjectCategories", "image_", seed, lambda n: TRAINED)


def read_eurosat(root: Path, seed: int) -> Listing:
    """80 % of each class to train on, the others are tested."""
    return _drawn(root / "2750", "2750", "", seed, lambda n: round(SHARE * n))


def _drawn(folder: Path, below: str, begins: str, seed: int, count: Callable[[int], int]) -> Listing:
    """Draws by the SHA-256 of seed and id: the same images on every machine, in whatever order they lie."""
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder; restore it")
    classes = tuple(sorted(path.name for path in folder.iterdir() if path.is_dir() and path.name[0] != "."))
    parts: dict[str, list[Entry]] = {"train": [], "test": []}
    for label, name in enumerate(classes):
        names = [path.name for path in (folder / name).iterdir()]
        names = [n for n in names if n.startswith(begins or f"{name}_") and n.endswith(".jpg")]
        ids = sorted(
            (f"{name}/{n}" for n in names), key=lambda i: hashlib.sha256(f"{seed}/{i}".encode()).digest()
        )
        entries = [Entry(i, f"{below}/{i}", label) for i in ids]
        parts["train"] += entries[: count(len(entries))]
        parts["test"] += entries[count(len(entries)) :]
    return Listing(classes, parts)
