"""Lists what the publishers say of each split, and holds files and folders against it.

VOC: the database statistics of both years (objects that are not difficult). COCO, LVIS, ADE20K, Cityscapes:
counts of their papers and pages; SHA-256 of the two COCO files as many independent projects state it.
DensePose: the table in Detectron2's project. What no source says is left out.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from transfer.datasets.base import Dataset
from transfer.datasets.coco.json_chunks import read_chunked
from transfer.datasets.files import listing
from transfer.datasets.findings import Findings
from transfer.datasets.registry import SPECS, read_dataset
from transfer.errors import DataError


class Facts(NamedTuple):
    """Says what a split holds; 0 or nothing where it is not published.

    sha256: of the annotation file. An official split has it; so has no copy that was written anew.
    """

    images: int
    objects: int = 0
    classes: int = 0
    sha256: str = ""


FACTS = {
    "voc_2007_trainval": Facts(5_011, 12_608, 20),
    "voc_2007_test": Facts(4_952, 12_032, 20),
    "voc_2012_trainval": Facts(11_540, 27_450, 20),
    "voc_2012_sem_seg_train": Facts(1_464, 0, 21),
    "voc_2012_sem_seg_val": Facts(1_449, 0, 21),
    "coco_2017_train": Facts(
        118_287, 860_001, 80, "610fce4944abdeb15354cc765333805529359d12d88f2f711393ca586901d01d"
    ),
    "coco_2017_val": Facts(
        5_000, 36_781, 80, "e8c7f7908f1d7278341fae127d0da654f102f11bd7b21d8aeefa635b8c810b6f"
    ),
    "keypoints_coco_2017_train": Facts(118_287, 262_465, 1),
    "keypoints_coco_2017_val": Facts(5_000, 11_004, 1),
    "coco_2014_train": Facts(82_783, 604_907, 80),
    "coco_2014_val": Facts(40_504, 291_875, 80),
    "densepose_coco_2014_train": Facts(26_437),
    "densepose_coco_2014_valminusminival": Facts(5_984),
    "densepose_coco_2014_minival": Facts(1_508),
    "lvis_v0.5_train": Facts(0, 693_958, 1_230),
    "lvis_v0.5_val": Facts(5_000, 0, 1_230),
    "lvis_v1_train": Facts(100_170, 1_270_141, 1_203),
    "lvis_v1_val": Facts(19_809, 244_707, 1_203),
    "ade20k_sem_seg_train": Facts(20_210, 0, 150),
    "ade20k_sem_seg_val": Facts(2_000, 0, 150),
    "cityscapes_fine_instance_seg_train": Facts(2_975, 0, 8),
    "cityscapes_fine_instance_seg_val": Facts(500, 0, 8),
    "cityscapes_fine_sem_seg_train": Facts(2_975, 0, 19),
    "cityscapes_fine_sem_seg_val": Facts(500, 0, 19),
}


def counts_of(dataset: Dataset[Any]) -> dict[str, int]:
    """Images, objects (of VOC those that are not difficult) and classes of a split that was read."""
    summary, metadata = dataset.summary, dataset.metadata
    objects = (summary["objects"] or 0) - summary.get("difficult", 0)
    semantic = metadata["tasks"] == ["sem_seg"]
    classes = metadata["stuff_classes" if semantic else "thing_classes"]
    return {"images": summary["images"], "objects": objects, "classes": len(classes)}


def compared(found: dict[str, int], facts: Facts) -> tuple[str, str]:
    """(what is as published, what is not) of the counts, each in words; what is not published is left out."""
    published = {key: getattr(facts, key) for key in found}
    same = [f"{n:,} {key}" for key, n in found.items() if n and published[key] == n]
    other = [f"{n:,} {key}, published {published[key]:,}" for key, n in found.items()
             if published[key] not in (0, n)]  # fmt: skip
    return ", ".join(same), "; ".join(other)


def table_of(name: str, root: Path) -> Path:
    """The annotation file of a split in COCO's form."""
    return root / SPECS[name].layout[0]


def sha256_of(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal; DataError where it cannot be read."""
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while chunk := file.read(1 << 20):
                digest.update(chunk)
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}; restore the file") from None
    return digest.hexdigest()


def check_folder(folder: str, count: int, root: Path) -> str:
    """Counts the images of a folder below `root`; DataError for another number than is published."""
    found = sum(name.endswith(".jpg") for name in listing(root / folder)) if (root / folder).is_dir() else 0
    if found != count:
        raise DataError(f"{root / folder} has {found:,} images *.jpg, published are {count:,}")
    return f"{found:,} images in {folder}"


def check_tables(names: Iterable[str], root: Path) -> str:
    """Holds the annotation files of splits against SHA-256 or counts; their images need not be there."""
    for name in names:
        path = table_of(name, root)
        if FACTS[name].sha256 and sha256_of(path) == FACTS[name].sha256:
            continue
        counter, rest, _ = read_chunked(path, "annotations", _Counter)
        found = {"images": rest.get("images"), "objects": counter.count, "classes": rest.get("categories")}
        counts = {key: len(n) if isinstance(n, list) else n or 0 for key, n in found.items()}
        if wrong := compared(counts, FACTS[name])[1]:
            raise DataError(f"{path}: {wrong}")
    return f"annotations {', '.join(names)}"


def check_splits(names: Iterable[str], root: Path) -> str:
    """Reads splits whose images are there too; DataError for the first broken rule or other counts."""
    told = []
    for name in names:
        findings = Findings(keep=1)
        dataset = read_dataset(name, root, findings)
        same, other = compared(counts_of(dataset), FACTS[name])
        if wrong := first_error(findings) or other:
            raise DataError(f"{name}: {wrong}")
        told.append(f"{name} {same}")
    return "; ".join(told)


def first_error(findings: Findings) -> str:
    """The first broken rule in a line, with the number of the others; empty where none is."""
    rules = list(findings.errors)
    more = sum(findings.errors.values()) - 1
    return findings.examples[rules[0]][0].line() + (f" (and {more} more)" if more else "") if rules else ""


class _Counter:
    """Counts annotations, and keeps none."""

    count = 0

    def take(self, items: list[Any], booleans: bool) -> None:
        self.count += len(items)
