"""Makes a data set of pairs, an image and its class map, for the readers whose data are such pairs."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from transfer.datasets.base import Dataset
from transfer.datasets.findings import Findings
from transfer.datasets.images import check_images, image_columns, image_size
from transfer.datasets.mask_images import IGNORE, check_class_maps
from transfer.datasets.records import Column, LazyRecords
from transfer.errors import DataError

Pair = tuple[str, str, str]  # image id, image file, mask file


def dataset_of_pairs(
    name: str,
    pairs: Sequence[Pair],
    read: Callable[[str], np.ndarray],
    metadata: dict[str, Any],
    findings: Findings,
) -> Dataset[None]:
    """Records with sem_seg_file_name; sizes come from the headers, read when a record is asked for.

    read: a mask file -> (H, W) classes. metadata: with the evaluator, the encoding and stuff_classes.
    """
    digest = hashlib.sha256()
    for image_id, image, mask in pairs:
        digest.update(f"\n{image_id} {os.path.basename(image)}\n".encode())
        digest.update(Path(mask).read_bytes())

    make = partial(_record, pairs)
    records = LazyRecords(len(pairs), make, partial(_columns, pairs))
    if findings.deep:
        check_class_maps(pairs, read, len(metadata["stuff_classes"]), findings)
        check_images([make(i) for i in range(len(pairs)) if _opens(pairs[i][1], findings)], findings)
    summary = {
        "images": len(pairs),
        "objects": 0,
        "sha256": digest.hexdigest(),
        "odd": dict(findings.odd),
    }
    return Dataset(name, records, {"tasks": ["sem_seg"], "ignore_label": IGNORE, **metadata}, summary, None)


def _record(pairs: Sequence[tuple[str, str, str]], i: int) -> dict[str, Any]:
    image_id, image, mask = pairs[i]
    width, height = image_size(image)
    return {
        "file_name": image,
        "sem_seg_file_name": mask,
        "image_id": image_id,
        "height": height,
        "width": width,
        "annotations": [],
    }


def _columns(pairs: Sequence[tuple[str, str, str]], name: str) -> dict[str, Column]:
    return image_columns([image_id for image_id, _, _ in pairs], [image for _, image, _ in pairs], name)


def _opens(path: str, findings: Findings) -> bool:
    try:
        image_size(path)
    except DataError as e:
        says = str(e).removeprefix(f"{path}: ")
        findings.error("bad-image", os.path.basename(path), "image", "file", None, says)
        return False
    return True
