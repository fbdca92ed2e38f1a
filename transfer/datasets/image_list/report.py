"""Checks whole sets of labelled images for `python -m transfer.datasets check`: every image is decoded."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from transfer.datasets.findings import Findings
from transfer.datasets.image_list.images import LabelledImages, Place, open_image
from transfer.datasets.image_list.own import OwnLabelled, load_own, read_own
from transfer.datasets.image_list.parts import Task
from transfer.datasets.image_list.public.table import load_set, read_parts, row_of
from transfer.errors import DataError

_READERS = 16


def check_own(own: OwnLabelled, findings: Findings) -> dict[str, Any]:
    """The summary of a user's set; broken images go to `findings`, other faults raise DataError."""
    if not _decode(read_own(own), findings):
        return {}
    return _told(load_own(own), findings)


def check_set(name: str, root: Path, findings: Findings) -> dict[str, Any]:
    """The summary of a public set; broken images go to `findings`, other faults raise DataError."""
    if not _decode(read_parts(row_of(name), root), findings):
        return {}
    return _told(load_set(name, root), findings)


def _told(task: Task, findings: Findings) -> dict[str, Any]:
    for warning in task.summary["warnings"]:
        findings.oddity("warning", task.name, "", "images", None, warning)
    return {key: value for key, value in task.summary.items() if key != "warnings"}


def _decode(parts: Mapping[str, LabelledImages], findings: Findings) -> bool:
    """Whether every image can be decoded."""
    for part, images in parts.items():
        findings.to_open += len(images)
        with ThreadPoolExecutor(_READERS) as pool:
            for place, says in zip(images.places, pool.map(_wrong, images.places), strict=True):
                findings.opened += 1
                if says:
                    findings.error("bad-image", Path(place.file).name, part, "file", place.member, says)
    return not findings.errors


def _wrong(place: Place) -> str:
    try:
        pixels = np.asarray(open_image(place))
    except DataError as error:
        return str(error).removeprefix(f"{place}: ")
    return "" if pixels.size else "has no pixels"
