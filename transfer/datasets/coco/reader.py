"""Reads COCO instances, person keypoints and DensePose into Detectron2's dataset dicts.

As Detectron2 reads COCO: images in order of id, annotations in file order; category ids become contiguous
classes in order of id; keypoints are pixel indices in the file and continuous (+0.5) in the records. Unlike
there, boxes are [x0, y0, x1, y1] (bbox_mode 0), and annotations left out of training are counted.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from transfer.datasets.base import Dataset, Spec
from transfer.datasets.coco.densepose_rules import check_densepose
from transfer.datasets.coco.explain import explain
from transfer.datasets.coco.images import Images, read_categories, read_images
from transfer.datasets.coco.json_chunks import BOM, read_chunked
from transfer.datasets.coco.names import KEYPOINT_FLIP_MAP, KEYPOINT_NAMES, KEYPOINT_SIGMAS
from transfer.datasets.coco.records import make_records
from transfer.datasets.coco.rules import check_table
from transfer.datasets.coco.table import Annotations, Collector
from transfer.datasets.files import need
from transfer.datasets.findings import Findings
from transfer.datasets.images import check_images


@dataclass
class CocoTruth:
    """The truth of COCO's metrics: all annotations of the file, also those left out of training."""

    table: Annotations
    images: Images
    categories: list[dict[str, Any]]

    def take(self, indices: np.ndarray) -> CocoTruth:
        """The truth of these images alone: `indices` (I,) are positions in the images, rising."""
        images = self.images.take(indices)
        rows = np.flatnonzero(np.isin(self.table.rows["image_id"], images.ids))
        return CocoTruth(self.table.take(rows), images, self.categories)


@dataclass(frozen=True)
class Source:
    """Says where a name is read from, relative to the data root, and what its annotations hold."""

    images: str
    json: str
    tasks: tuple[str, ...]  # what predictions on it are scored for


def _sources() -> dict[str, Source]:
    out: dict[str, Source] = {}
    for year, splits in (("2014", "train val minival valminusminival"), ("2017", "train val")):
        for split in splits.split():
            folder = f"coco/{'train' if split == 'train' else 'val'}{year}"
            for prefix, stem, tasks in (
                ("coco", "instances", ("bbox", "segm")),
                ("keypoints_coco", "person_keypoints", ("bbox", "keypoints")),
            ):
                file = f"coco/annotations/{stem}_{split}{year}.json"
                out[f"{prefix}_{year}_{split}"] = Source(folder, file, tasks)
            if year == "2014" and split != "val":
                file = f"coco/annotations/densepose_{split}{year}.json"
                out[f"densepose_coco_{year}_{split}"] = Source(folder, file, ("bbox", "densepose"))
    return out


SOURCES = _sources()


def read_coco(name: str, root: Path, findings: Findings) -> Dataset[CocoTruth]:
    """Reads one COCO split; problems go to `findings`, missing or unreadable files raise DataError."""
    source = SOURCES[name]
    layout = (source.json, f"{source.images}/*.jpg")
    path = need(root / source.json, name, root, layout)
    folder = need(root / source.images, name, root, layout)
    return read_files(name, path, folder, root, source.tasks, findings)


def read_files(
    name: str, path: Path, folder: Path, root: Path, tasks: tuple[str, ...], findings: Findings
) -> Dataset[CocoTruth]:
    """Reads the COCO file `path`, its images in `folder`; predictions are scored for `tasks`."""
    keypoints, densepose = "keypoints" in tasks, "densepose" in tasks
    num_keypoints = len(KEYPOINT_NAMES) if keypoints else 0
    masks = tasks != ("bbox",)  # the only files that may lack them

    def new() -> Collector:
        return Collector(num_keypoints=num_keypoints, masks=masks, densepose=densepose)

    collector, rest, data = read_chunked(path, "annotations", new)
    file = path.name
    if data.startswith(BOM):
        says = "begins with one; some readers refuse that"
        findings.oddity("byte-order-mark", file, "", "file", None, says)
    sloppy = name in SOURCES and "minival" in name  # and valminusminival
    images = read_images(
        rest.get("images"), folder, file, findings, name_of=_file_name, extra=(), sloppy=sloppy
    )
    categories = read_categories(rest.get("categories"), file, findings)
    explain(collector, file, findings)
    table = collector.table()
    fit = check_table(table, images, [c["id"] for c in categories], file, findings, masks)
    if densepose:
        fit &= check_densepose(table, file, findings)
    metadata: dict[str, Any] = {
        "evaluator": "densepose" if densepose else "coco",
        "tasks": list(tasks),
        "thing_classes": [c["name"] for c in categories],
        "thing_dataset_id_to_contiguous_id": {c["id"]: i for i, c in enumerate(categories)},
        "json_file": str(path),
        "image_root": str(folder),
        "data_root": str(root),
    }
    if keypoints:
        _check_keypoint_names(categories, file, findings)
        metadata["keypoint_names"] = list(KEYPOINT_NAMES)
        metadata["keypoint_flip_map"] = [list(pair) for pair in KEYPOINT_FLIP_MAP]
        metadata["keypoint_sigmas"] = list(KEYPOINT_SIGMAS)
    records = make_records(table, images, categories, fit, folder)
    if findings.deep:
        check_images(records, findings)
    summary = {
        "images": len(images.names),
        "objects": len(table),
        "trainable_objects": int(fit.sum()),
        "crowds": int(table.rows["iscrowd"].sum()),
        "sha256": content_sha256(data, images),
        "odd": dict(findings.odd),
    }
    return Dataset(name, records, metadata, summary, CocoTruth(table, images, categories))


def content_sha256(data: bytes, images: Images) -> str:
    """Hash of the annotation file and of the names of its images."""
    digest = hashlib.sha256(data)
    digest.update("\n".join(images.names).encode())
    return digest.hexdigest()


def _file_name(entry: dict[str, Any]) -> str:
    name = entry["file_name"]
    if not isinstance(name, str):
        raise TypeError
    return name


def _check_keypoint_names(categories: list[dict[str, Any]], file: str, findings: Findings) -> None:
    for category in categories:
        if category.get("keypoints") != list(KEYPOINT_NAMES):
            says = f"expected COCO's {len(KEYPOINT_NAMES)} person keypoints in COCO's order"
            findings.error("keypoint-names", file, f"category {category['name']}", "keypoints",
                           category.get("keypoints"), says)  # fmt: skip


_TRAINING_IMAGES = {
    "coco_2017_train": 117266,
    "densepose_coco_2014_train": 26437,
    "densepose_coco_2014_valminusminival": 5984,
}
SPECS = [
    Spec(name, read_coco, (s.json, f"{s.images}/*.jpg"), _TRAINING_IMAGES.get(name))
    for name, s in SOURCES.items()
]
