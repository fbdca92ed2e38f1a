"""Reads LVIS v0.5 and v1: COCO-like annotations, frequency groups, categories known to be absent.

Images lie in the COCO 2017 folders; the `coco_url` of each says in which, as Detectron2 resolves it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from transfer.datasets.base import Dataset, Spec
from transfer.datasets.coco.explain import explain
from transfer.datasets.coco.images import Images, read_categories, read_images
from transfer.datasets.coco.json_chunks import read_chunked
from transfer.datasets.coco.reader import CocoTruth, content_sha256
from transfer.datasets.coco.records import make_records
from transfer.datasets.coco.rules import STRAY, check_table
from transfer.datasets.coco.table import Annotations, Collector
from transfer.datasets.files import need
from transfer.datasets.findings import Findings
from transfer.datasets.images import check_images

NAMES = ("lvis_v0.5_train", "lvis_v0.5_val", "lvis_v1_train", "lvis_v1_val")
_LISTS = ("neg_category_ids", "not_exhaustive_category_ids")


def _layout(name: str) -> tuple[str, ...]:
    return (f"lvis/{name}.json", "coco/train2017/*.jpg", "coco/val2017/*.jpg")


def read_lvis(name: str, root: Path, findings: Findings) -> Dataset[CocoTruth]:
    """Reads one LVIS split; problems go to `findings`, missing or unreadable files raise DataError."""
    path = need(root / f"lvis/{name}.json", name, root, _layout(name))
    folder = need(root / "coco", name, root, _layout(name))
    collector, rest, data = read_chunked(path, "annotations", lambda: Collector(crowds=False))
    images = read_images(
        rest.get("images"), folder, path.name, findings, name_of=_file_name, extra=_LISTS, sloppy=False
    )
    categories = read_categories(rest.get("categories"), path.name, findings)
    explain(collector, path.name, findings)
    table = collector.table()
    fit = check_table(table, images, [c["id"] for c in categories], path.name, findings)
    _check_federation(table, images, categories, path.name, findings)
    records = make_records(table, images, categories, fit, folder)
    if findings.deep:
        check_images(records, findings)
    metadata = {
        "evaluator": "lvis",
        "tasks": ["bbox", "segm"],
        "thing_classes": [c["name"] for c in categories],
        "class_frequency": [c.get("frequency") for c in categories],
        "thing_dataset_id_to_contiguous_id": {c["id"]: i for i, c in enumerate(categories)},
        "json_file": str(path),
        "image_root": str(folder),
        "data_root": str(root),
    }
    summary = {
        "images": len(images.names),
        "objects": len(table),
        "trainable_objects": int(fit.sum()),
        "sha256": content_sha256(data, images),
        "odd": dict(findings.odd),
    }
    return Dataset(name, records, metadata, summary, CocoTruth(table, images, categories))


def _file_name(entry: dict[str, Any]) -> str:
    folder, name = entry["coco_url"].split("/")[-2:]
    return f"{folder}/{name}"


def _check_federation(
    table: Annotations, images: Images, categories: list[dict[str, Any]], file: str, findings: Findings
) -> None:
    """Checks frequency groups, and the lists of categories that were looked for in an image."""
    known = {c["id"] for c in categories}
    for c in categories:
        if c.get("frequency") not in ("r", "c", "f"):
            says = "expected r, c or f (rare, common, frequent)"
            findings.error(
                "bad-frequency", file, f"category {c['name']}", "frequency", c.get("frequency"), says
            )
    usable: dict[int, set[int]] = {}
    for image_id, *lists in zip(images.ids.tolist(), *(images.extra[key] for key in _LISTS), strict=True):
        for key, values in zip(_LISTS, lists, strict=True):
            record = f"image id {image_id}"
            if not isinstance(values, list) or not all(isinstance(v, int) for v in values):
                findings.error(
                    "bad-category-list", file, record, key, values, "expected a list of category ids"
                )
            elif not known.issuperset(values):
                stray = sorted(set(values) - known)
                findings.error("bad-category-list", file, record, key, stray, "no categories with these ids")
            elif key == "neg_category_ids":
                usable[image_id] = set(values)
    rows = table.rows[["id", "image_id", "category_id"]].tolist()
    present = [row for row in rows if row[2] in usable.get(row[1], ())]
    report = findings.oddity if len(present) <= STRAY * len(table) else findings.error
    says = "is in neg_category_ids of its image, so it should be absent there"
    for identity, image_id, category in present:
        record = f"annotation id {identity} (image {image_id})"
        report("negative-present", file, record, "category_id", category, says)


SPECS = [Spec(name, read_lvis, _layout(name)) for name in NAMES]
