"""Reads BCCD: blood smears in VOC's layout, with split lists of its own."""

from __future__ import annotations

from pathlib import Path

from benchmarks.studies.data.picture import Picture
from benchmarks.studies.data.splits import without_copies
from benchmarks.studies.data.voc_xml import read_xml

CLASSES = ("RBC", "WBC", "Platelets")


def read_bccd(source: Path) -> dict[str, list[Picture]]:
    """The lists `trainval` and `test` of the set; near duplicates of test images leave the training list."""
    root = source / "BCCD_Dataset" / "BCCD"
    category = {name: number for number, name in enumerate(CLASSES, 1)}

    def split(name: str) -> list[Picture]:
        ids = (root / "ImageSets" / "Main" / f"{name}.txt").read_text(encoding="utf-8").split()
        return [
            read_xml(root / "Annotations" / f"{i}.xml", root / "JPEGImages" / f"{i}.jpg", category)
            for i in ids
        ]

    train, test = split("trainval"), split("test")
    return {"train": without_copies(train, test), "test": test}
