"""Reads the sample of 100 VOC2012 images: VOC's XML, no split lists, all objects as one class."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

from benchmarks.studies.data.picture import Picture
from benchmarks.studies.data.splits import draw
from benchmarks.studies.data.voc_xml import read_xml

TEST = 30


def read_voc100(source: Path) -> dict[str, list[Picture]]:
    """70 + 30 images; every object is of the one class.

    Of VOC's 20 classes only `person` has more than 15 objects in the 100 images, so no other can be learned
    or scored by itself.
    """
    root = source / "voc2012_det100"
    raw, devkit = root / "data" / "database", root / "VOC2012"
    if raw.exists():
        annotations, images = raw / "gts" / "pascalvoc_format", raw / "images"
    else:
        annotations, images = devkit / "Annotations", devkit / "JPEGImages"
    any_class: defaultdict[str, int] = defaultdict(lambda: 1)
    pictures = [
        read_xml(xml, images / f"{xml.stem}.jpg", any_class) for xml in sorted(annotations.glob("*.xml"))
    ]
    train, test = draw(pictures, TEST, "voc100")
    return {"train": train, "test": test}
