"""Reads the Raccoon set: 200 photographs from the web, VOC's XML, one class, no split lists."""

from __future__ import annotations

from pathlib import Path

from benchmarks.studies.data.picture import Picture
from benchmarks.studies.data.splits import draw
from benchmarks.studies.data.voc_xml import read_xml

TEST = 60


def read_raccoon(source: Path) -> dict[str, list[Picture]]:
    """At least 60 images for the test, by groups of near duplicates, the others for training."""
    root = source / "raccoon_dataset"
    pictures = [
        read_xml(xml, root / "images" / f"{xml.stem}.jpg", {"raccoon": 1})
        for xml in sorted((root / "annotations").glob("*.xml"))
    ]
    train, test = draw(pictures, TEST, "raccoon")
    return {"train": train, "test": test}
