"""Reads Cityscapes' fine annotations: instances of 8 classes and the 19-class semantic maps.

The reader needs the images, and the published PNGs (gtFine_instanceIds, gtFine_labelIds) or the polygons: a
PNG that is absent is drawn from the polygons as Cityscapes' own script draws it. Derived files such as
labelTrainIds are not used. Metrics always score by the maps. Training takes the polygons, as Detectron2 does,
and the instance map of an image without them. Both are read when a record is asked for: a training split
would otherwise take minutes and gigabytes.
"""

from __future__ import annotations

import hashlib
import os
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from transfer.datasets.base import Dataset, Spec
from transfer.datasets.cityscapes.class_map import read_label_ids
from transfer.datasets.cityscapes.frame import Frame, instance_map, instances, label_map, map_has_object
from transfer.datasets.cityscapes.labels import INSTANCES, SEMANTIC
from transfer.datasets.cityscapes.visible import has_visible_object, visible_instances
from transfer.datasets.files import need
from transfer.datasets.findings import Findings
from transfer.datasets.images import check_images, image_columns, image_size, of_each
from transfer.datasets.mask_images import IGNORE, check_class_maps
from transfer.datasets.records import Column, LazyRecords
from transfer.errors import DataError

SPLITS = ("train", "val")
_IMAGE = "_leftImg8bit.png"


def _layout(split: str) -> tuple[str, ...]:
    gt = f"cityscapes/gtFine/{split}/*/*_gtFine_"
    return (
        f"cityscapes/leftImg8bit/{split}/*/*{_IMAGE}",
        f"{gt}{{instanceIds.png,labelIds.png or polygons.json}}",
    )


def read_cityscapes(name: str, root: Path, findings: Findings) -> Dataset[list[Frame]]:
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
        for path in dict.fromkeys((frame.source(semantic), "" if semantic else frame.polygons)):
            digest.update(Path(path).read_bytes() if path else b"")
    outlined = sum(bool(frame.polygons) for frame in frames)
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
    how = [partial(f, frames, semantic) for f in (_record, _columns, _bare)]
    records = LazyRecords(len(frames), *how)
    if findings.deep:
        _check(frames, semantic, findings)
    summary = {
        "images": len(frames),
        "objects": None,  # not known before all masks are read
        **({} if semantic else {"outlined_images": outlined}),  # trained on polygons; the others on maps
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
            if frame.source(semantic):
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


def _record(frames: list[Frame], semantic: bool, i: int) -> dict[str, Any]:
    record = _bare(frames, semantic, i)
    if not semantic:
        record["annotations"] = _annotations(frames[i], record["width"], record["height"])
    return record


def _bare(frames: list[Frame], semantic: bool, i: int) -> dict[str, Any]:
    frame = frames[i]
    width, height = image_size(frame.image)
    record: dict[str, Any] = {
        "file_name": frame.image,
        "image_id": frame.image_id,
        "height": height,
        "width": width,
        "annotations": [],
    }
    if semantic:
        record["sem_seg_file_name"] = frame.source(True)
    return record


def _annotations(frame: Frame, width: int, height: int) -> list[dict[str, Any]]:
    if frame.polygons:
        return visible_instances(frame.polygons, width, height)
    return instances(instance_map(frame))


def _columns(frames: list[Frame], semantic: bool, name: str) -> dict[str, Column]:
    """Columns; where polygons are absent, has_object decodes every instance map."""
    if name == "has_object" and not semantic:
        return {name: np.array(of_each(_has_object, frames, "objects of images"), bool)}
    return image_columns([f.image_id for f in frames], [f.image for f in frames], name)


def _has_object(frame: Frame) -> bool:
    return has_visible_object(frame.polygons) if frame.polygons else map_has_object(instance_map(frame))


def _check(frames: list[Frame], semantic: bool, findings: Findings) -> None:
    records = []
    for i, frame in enumerate(frames):
        try:
            record = _record(frames, semantic, i)
            records.append(record)
            shape = (label_map(frame) if semantic else instance_map(frame)).shape
        except (DataError, OSError, SyntaxError) as e:
            says = str(e).split(": ", 1)[-1]
            findings.error(
                "bad-mask", os.path.basename(frame.source(semantic)), frame.image_id, "file", None, says
            )
            continue
        if shape != (record["height"], record["width"]):
            says = f"the image is {record['width']}x{record['height']}"
            value = f"{shape[1]}x{shape[0]}"
            findings.error(
                "mask-size", os.path.basename(frame.source(semantic)), frame.image_id, "size", value, says
            )
    if semantic:
        pairs = [(f.image_id, f.image, f.label_ids) for f in frames if f.label_ids]
        check_class_maps(pairs, read_label_ids, len(SEMANTIC), findings)
    check_images(records, findings)


_TRAINING_IMAGES = {"train": 2975}
SPECS = [
    Spec(f"cityscapes_fine_{task}_{split}", read_cityscapes, _layout(split), _TRAINING_IMAGES.get(split))
    for task in ("instance_seg", "sem_seg")
    for split in SPLITS
]
