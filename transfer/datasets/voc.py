"""Reads the devkit folders of Pascal VOC detection into Detectron2's dataset dicts.

As Detectron2 reads VOC: pixels in the XML count from 1 and are inclusive, so a box [xmin, ymin, xmax, ymax]
becomes [xmin - 1, ymin - 1, xmax, ymax] in continuous 0-based coordinates. `difficult` objects are kept.
"""

from __future__ import annotations

import difflib
import hashlib
import math
import os
import xml.etree.ElementTree as ET
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transfer.datasets.base import XYXY, Dataset, Spec
from transfer.datasets.files import listing, need, read_split
from transfer.datasets.findings import Findings
from transfer.datasets.images import check_images

# fmt: off
CLASSES = [
    "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow", "diningtable",
    "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor",
]
# fmt: on
SPLITS = {2007: ("train", "val", "trainval", "test"), 2012: ("train", "val", "trainval")}
_SIDES = ("xmin", "ymin", "xmax", "ymax")
_READERS = 8  # threads that hide the latency of many small files


@dataclass(frozen=True)
class Devkit:
    """A devkit's folders, the list of the split to be read, and the classes in the order of their numbers.

    endings: of image files, those that may stand behind an image's id.
    """

    annotations: Path
    images: Path
    split_file: Path
    classes: tuple[str, ...]
    endings: tuple[str, ...] = (".jpg",)


def _layout(year: int, split: str) -> tuple[str, ...]:
    kit = f"VOC{year}"
    return (f"{kit}/Annotations/*.xml", f"{kit}/ImageSets/Main/{split}.txt", f"{kit}/JPEGImages/*.jpg")


def read_voc(name: str, root: Path, findings: Findings) -> Dataset[None]:
    """Reads `voc_<year>_<split>`; annotation problems go to `findings`, missing folders raise DataError."""
    year, split = int(name.split("_")[1]), name.split("_")[2]
    kit = root / f"VOC{year}"
    layout = _layout(year, split)
    annotations = need(kit / "Annotations", name, root, layout)
    images = need(kit / "JPEGImages", name, root, layout)
    split_file = need(kit / "ImageSets" / "Main" / f"{split}.txt", name, root, layout)
    return read_devkit(Devkit(annotations, images, split_file, tuple(CLASSES)), name, year, findings)


def read_devkit(kit: Devkit, name: str, year: int, findings: Findings) -> Dataset[None]:
    """Reads a split of a devkit; the year says which rule of average precision scores it."""
    present = listing(kit.images)
    ids = read_split(kit.split_file, findings)
    digest = hashlib.sha256("\n".join(kit.classes).encode())
    records = []
    with ThreadPoolExecutor(_READERS) as pool:
        for image_id, content in zip(
            ids, pool.map(lambda i: _bytes(kit.annotations / f"{i}.xml"), ids), strict=True
        ):
            digest.update(f"\n{image_id}\n".encode())
            digest.update(content or b"")
            image = next((f"{image_id}{end}" for end in kit.endings if f"{image_id}{end}" in present), None)
            if image is None:
                image = f"{image_id}{kit.endings[0]}"
                missing = f"{kit.images.parent.name}/{kit.images.name}/{image}"
                findings.error(
                    "missing-image", kit.split_file.name, image_id, "image", missing, "no such file"
                )
            record = _record(image_id, content, kit, image, findings)
            if record:
                records.append(record)
    if findings.deep:
        check_images(records, findings)

    objects = [a for r in records for a in r["annotations"]]
    metadata = {
        "evaluator": "voc",
        "tasks": ["bbox"],
        "thing_classes": list(kit.classes),
        "dirname": str(kit.images.parent),
        "split": kit.split_file.stem,
        "year": year,
    }
    summary = {
        "images": len(records),
        "objects": len(objects),
        "difficult": sum(a["difficult"] for a in objects),
        "sha256": digest.hexdigest(),
        "odd": dict(findings.odd),
    }
    return Dataset(name, records, metadata, summary, None)


def _bytes(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None


def _record(
    image_id: str, content: bytes | None, kit: Devkit, image: str, findings: Findings
) -> dict[str, Any] | None:
    file = f"Annotations/{image_id}.xml"
    if content is None:
        findings.error("missing-annotation", file, image_id, "file", None, "missing or not readable")
        return None
    try:
        tree = ET.fromstring(content)
    except ET.ParseError as e:
        findings.error("bad-xml", file, image_id, "file", None, f"not well-formed XML ({e})")
        return None
    named = os.path.splitext(tree.findtext("filename") or "")[0]
    if named and named != image_id:
        says = f"names another image than its own, which is {image}"
        findings.error("wrong-image", file, image_id, "filename", tree.findtext("filename"), says)
    size = {
        side: _number(tree.find(f"size/{side}"), file, "size", side, findings) for side in ("width", "height")
    }
    if any(v is None or v < 1 or v != int(v) for v in size.values()):
        for side, v in size.items():
            if v is not None and (v < 1 or v != int(v)):
                findings.error("bad-size", file, "size", side, v, "must be a positive integer")
        return None
    width, height = int(size["width"] or 0), int(size["height"] or 0)
    size_and_file = (width, height, file)
    objects = [
        _object(o, i, size_and_file, kit.classes, findings) for i, o in enumerate(tree.iterfind("object"))
    ]
    return {
        "file_name": str(kit.images / image),
        "image_id": image_id,
        "height": height,
        "width": width,
        "annotations": [o for o in objects if o is not None],
    }


def _object(
    element: ET.Element,
    index: int,
    place: tuple[int, int, str],
    classes: tuple[str, ...],
    findings: Findings,
) -> dict[str, Any] | None:
    """Reads one object of the image that is `place`: width, height and the file of the XML."""
    width, height, file = place
    name = (element.findtext("name") or "").strip()
    record = f"object {index} ({name or 'no name'})"
    if name not in classes:
        near = difflib.get_close_matches(name, classes, n=1)
        whose = "20 VOC" if classes == tuple(CLASSES) else f"suite's {len(classes)}"
        says = f"not one of the {whose} classes" + (f"; did you mean {near[0]}?" if near else "")
        rule = "unknown-class" if name else "missing-field"
        findings.error(rule, file, record, "name", name or None, says if name else "missing or empty")
        return None
    box = element.find("bndbox")
    if box is None:
        findings.error("missing-field", file, record, "bndbox", None, "missing")
        return None
    sides = [_number(box.find(side), file, record, f"bndbox/{side}", findings) for side in _SIDES]
    difficult = (element.findtext("difficult") or "0").strip() or "0"  # some tools write an empty tag
    if difficult not in ("0", "1"):
        findings.error("bad-flag", file, record, "difficult", difficult, "must be 0 or 1")
        return None
    if any(v is None for v in sides):
        return None
    xmin, ymin, xmax, ymax = (v or 0.0 for v in sides)
    if xmax <= xmin or ymax <= ymin:
        value = f"{[xmin, ymin, xmax, ymax]}"
        findings.error(
            "empty-box", file, record, "bndbox", value, "zero or negative area; expected min < max"
        )
        return None
    # A box [1, 1, width, height] covers the image. Tools that count from 0 are one pixel off: odd, not wrong.
    over = max(1 - xmin, 1 - ymin, xmax - width, ymax - height)
    if over > 0:
        value, says = f"{[xmin, ymin, xmax, ymax]}", f"outside the image (1..{width} x 1..{height})"
        if over > 1:
            findings.error("box-outside", file, record, "bndbox", value, says)
            return None
        findings.oddity(
            "box-one-pixel-outside", file, record, "bndbox", value, says + " by at most one pixel"
        )
    return {
        "bbox": [xmin - 1.0, ymin - 1.0, xmax, ymax],
        "bbox_mode": XYXY,
        "category_id": classes.index(name),
        "iscrowd": 0,
        "difficult": int(difficult),
    }


def _number(
    element: ET.Element | None, file: str, record: str, field: str, findings: Findings
) -> float | None:
    if element is None or element.text is None or not element.text.strip():
        findings.error("missing-field", file, record, field, None, "missing or empty")
        return None
    try:
        value = float(element.text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        findings.error("not-a-number", file, record, field, element.text, "must be a finite number")
        return None
    return value


_TRAINING_IMAGES = {(2007, "trainval"): 5011, (2012, "trainval"): 11540}
SPECS = [
    Spec(f"voc_{year}_{split}", read_voc, _layout(year, split), _TRAINING_IMAGES.get((year, split)))
    for year, splits in SPLITS.items()
    for split in splits
]
