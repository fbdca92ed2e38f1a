"""Cityscapes fine annotations: instances of 8 classes and the 19-class semantic maps.

Needed are the images, and either the published PNGs (gtFine_instanceIds, gtFine_labelIds) or the polygons:
what is missing is drawn from the polygons the way Cityscapes' own script draws it. Derived files
(labelTrainIds) are not used. Instances are read when a record is asked for: a training split would
otherwise take minutes and gigabytes.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from transfer.datasets.base import XYXY, Dataset, Spec
from transfer.datasets.cityscapes_labels import INSTANCES, NAMES, SEMANTIC
from transfer.datasets.cityscapes_polygons import draw_polygons
from transfer.datasets.files import need
from transfer.datasets.findings import Findings
from transfer.datasets.images import check_images
from transfer.datasets.records import LazyRecords
from transfer.datasets.semantic import IGNORE, check_masks, read_class_map
from transfer.errors import DataError

SPLITS = ("train", "val")
_IMAGE = "_leftImg8bit.png"


@dataclass(frozen=True)
class Frame:
    """One annotated image; a path is empty where the file is not there."""

    image_id: str  # <city>_<sequence>_<frame>
    image: str
    instance_ids: str
    label_ids: str
    polygons: str


def _layout(split: str) -> tuple[str, ...]:
    gt = f"cityscapes/gtFine/{split}/*/*_gtFine_"
    return (
        f"cityscapes/leftImg8bit/{split}/*/*{_IMAGE}",
        f"{gt}{{instanceIds.png,labelIds.png or polygons.json}}",
    )


def read_cityscapes(name: str, root: Path, findings: Findings) -> Dataset:
    """Reads cityscapes_fine_{instance_seg,sem_seg}_{train,val}."""
    task, split = name.removeprefix("cityscapes_fine_").rsplit("_", 1)
    layout = _layout(split)
    images = need(root / "cityscapes" / "leftImg8bit" / split, name, root, layout)
    truth = need(root / "cityscapes" / "gtFine" / split, name, root, layout)
    semantic = task == "sem_seg"
    frames = _frames(images, truth, semantic, findings)
    if not frames and not findings.errors:
        raise DataError(
            f"{name}: no images *{_IMAGE} in the city folders of {images}; expected {', '.join(layout)}"
        )
    digest = hashlib.sha256(b"\n".join(f.image_id.encode() for f in frames))
    for frame in frames:
        digest.update(Path(_source(frame, semantic)).read_bytes())
    metadata: dict[str, Any] = {
        "evaluator": "cityscapes_sem_seg" if semantic else "cityscapes_instance",
        "tasks": ["sem_seg"] if semantic else ["segm"],
        "thing_classes": list(INSTANCES),
        "stuff_classes": list(SEMANTIC),
        "image_dir": str(images),
        "gt_dir": str(truth),
        "split": split,
        "ignore_label": IGNORE,
        "sem_seg_encoding": "cityscapes_ids",
        "data_root": str(root),
    }
    records = LazyRecords(len(frames), partial(_numbered_record, frames, semantic))
    if findings.deep:
        _check(frames, semantic, findings)
    summary = {
        "images": len(frames),
        "objects": None,  # not known before all masks are read
        "sha256": digest.hexdigest(),
        "odd": dict(findings.odd),
    }
    return Dataset(name, records, metadata, summary, frames)


def _frames(images: Path, truth: Path, semantic: bool, findings: Findings) -> list[Frame]:
    frames: list[Frame] = []
    seen: set[str] = set()
    for city in sorted(p for p in images.iterdir() if p.is_dir()):
        beside = set(os.listdir(truth / city.name)) if (truth / city.name).is_dir() else set()
        for file in sorted(os.listdir(city)):
            if not file.endswith(_IMAGE):
                findings.oddity(
                    "stray-file", f"{city.name}/{file}", "", "file", None, f"does not end in {_IMAGE}"
                )
                continue
            image_id = file.removesuffix(_IMAGE)
            seen.add(image_id)
            paths = [
                str(truth / city.name / f"{image_id}_gtFine_{end}")
                if f"{image_id}_gtFine_{end}" in beside
                else ""
                for end in ("instanceIds.png", "labelIds.png", "polygons.json")
            ]
            frame = Frame(image_id, str(city / file), *paths)
            if _source(frame, semantic):
                frames.append(frame)
            else:
                wanted = "labelIds.png" if semantic else "instanceIds.png"
                says = f"neither {wanted} nor polygons.json is there"
                findings.error("missing-annotation", f"{city.name}/{file}", image_id, "gtFine", None, says)
        for file in sorted(beside):
            image_id = file.split("_gtFine_")[0]
            if file.endswith(".png") and image_id not in seen:
                seen.add(image_id)
                says = f"no {image_id}{_IMAGE} in leftImg8bit"
                findings.error("missing-image", f"{city.name}/{file}", image_id, "image", None, says)
    return frames


def _source(frame: Frame, semantic: bool) -> str:
    """The file that the annotation is read from; the polygons are drawn only where the PNG is not there."""
    return (frame.label_ids if semantic else frame.instance_ids) or frame.polygons


def _numbered_record(frames: list[Frame], semantic: bool, i: int) -> dict[str, Any]:
    return _record(frames[i], semantic)


def _record(frame: Frame, semantic: bool) -> dict[str, Any]:
    from PIL import Image

    with Image.open(frame.image) as image:
        width, height = image.size
    record: dict[str, Any] = {
        "file_name": frame.image,
        "image_id": frame.image_id,
        "height": height,
        "width": width,
        "annotations": [],
    }
    if semantic:
        record["sem_seg_file_name"] = _source(frame, True)
    else:
        record["annotations"] = instances(instance_map(frame))
    return record


def instance_map(frame: Frame) -> np.ndarray:
    """(H, W) int32: 1000 * label id + number for an instance, the label id for everything else and for
    groups.
    """
    from PIL import Image

    if frame.instance_ids:
        try:
            with Image.open(frame.instance_ids) as image:
                return np.array(image).astype(np.int32)
        except (OSError, SyntaxError, ValueError) as e:
            raise DataError(f"{frame.instance_ids}: cannot be read as a mask ({e})") from None
    return draw_polygons(frame.polygons, numbered=True)


def label_map(frame: Frame) -> np.ndarray:
    """(H, W) uint8 training classes, 255 where nothing is judged."""
    return read_class_map(_source(frame, True), "cityscapes_ids")


def instances(ids: np.ndarray) -> list[dict[str, Any]]:
    """Annotations of the judged classes in an instance map, masks as run lengths; groups are crowds."""
    from pycocotools import mask
    from scipy.ndimage import find_objects

    values = np.flatnonzero(np.bincount(ids.ravel()))
    numbers = np.zeros(values[-1] + 1, np.int32)
    numbers[values] = np.arange(1, len(values) + 1)
    found = []
    for value, box in zip(values, find_objects(numbers[ids]), strict=True):
        label = int(value // 1000 if value >= 1000 else value)
        if label >= len(NAMES) or NAMES[label] not in INSTANCES:
            continue
        rows, columns = box
        where = np.zeros(ids.shape, np.uint8, order="F")  # as run lengths go
        where[box] = ids[box] == value
        found.append(
            {
                "bbox": [float(columns.start), float(rows.start), float(columns.stop), float(rows.stop)],
                "bbox_mode": XYXY,
                "category_id": INSTANCES.index(NAMES[label]),
                "iscrowd": int(value < 1000),
                "difficult": 0,
                "segmentation": mask.encode(where),
            }
        )
    return found


def _check(frames: list[Frame], semantic: bool, findings: Findings) -> None:
    records = []
    for frame in frames:
        try:
            record = _record(frame, semantic)
            records.append(record)
            shape = (label_map(frame) if semantic else instance_map(frame)).shape
        except (DataError, OSError, SyntaxError) as e:
            says = str(e).split(": ", 1)[-1]
            findings.error(
                "bad-mask", os.path.basename(_source(frame, semantic)), frame.image_id, "file", None, says
            )
            continue
        if shape != (record["height"], record["width"]):
            says = f"the image is {record['width']}x{record['height']}"
            value = f"{shape[1]}x{shape[0]}"
            findings.error(
                "mask-size", os.path.basename(_source(frame, semantic)), frame.image_id, "size", value, says
            )
    if semantic:
        pairs = [(f.image_id, f.image, f.label_ids) for f in frames if f.label_ids]
        check_masks(pairs, len(SEMANTIC), "cityscapes_ids", findings)
    check_images(records, findings)


SPECS = [
    Spec(f"cityscapes_fine_{task}_{split}", read_cityscapes, _layout(split))
    for task in ("instance_seg", "sem_seg")
    for split in SPLITS
]
