"""A user's own data set: a COCO-format JSON and a folder of images, defined outside of our code."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from transfer.datasets.base import Dataset
from transfer.datasets.coco import read_files
from transfer.datasets.findings import Findings
from transfer.errors import DataError

FORMATS = ("coco",)
TASKS = ("bbox", "segm", "keypoints")
_REQUIRED, _OPTIONAL = ("format", "json", "images"), ("tasks",)


@dataclass(frozen=True)
class OwnDataset:
    """Where it lies (absolute), and what its annotations hold; boxes always."""

    json: Path
    images: Path
    tasks: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        return {"format": FORMATS[0]} | {
            k: str(v) if isinstance(v, Path) else v for k, v in asdict(self).items()
        }


def make_own(name: str, definition: Any, folder: Path, where: str) -> OwnDataset:
    """The definition `{format, json, images, tasks}`; paths are relative to `folder`.

    Raises DataError that begins with `where` and names the key.
    """
    if not isinstance(definition, Mapping):
        raise DataError(
            f"{where}: {name} is {definition!r}; expected {{format: coco, json: ..., images: ...}}"
        )
    unknown = set(definition) - {*_REQUIRED, *_OPTIONAL}
    missing = set(_REQUIRED) - set(definition)
    if unknown or missing:
        what = [f"{key} is missing" for key in sorted(missing)]
        what += [f"{key} is unknown" for key in sorted(map(str, unknown))]
        keys = f"{', '.join(_REQUIRED)} and, if wanted, {', '.join(_OPTIONAL)}"
        raise DataError(f"{where}: {name}: {', '.join(what)}; the keys are {keys}")
    if definition["format"] not in FORMATS:
        raise DataError(f"{where}: {name}: format is {definition['format']!r}; expected {', '.join(FORMATS)}")
    for key in ("json", "images"):
        if not isinstance(definition[key], str):
            raise DataError(f"{where}: {name}: {key} is {definition[key]!r}; expected a path")
    tasks = definition.get("tasks", ["bbox", "segm"])
    if not isinstance(tasks, list | tuple) or "bbox" not in tasks or not set(tasks) <= set(TASKS):
        raise DataError(
            f"{where}: {name}: tasks is {tasks!r}; expected bbox and, if annotated, segm, keypoints"
        )
    json, images = (folder / Path(definition[key]).expanduser() for key in ("json", "images"))
    return OwnDataset(json.absolute(), images.absolute(), tuple(task for task in TASKS if task in tasks))


def read_own(name: str, own: OwnDataset, findings: Findings) -> Dataset:
    """Reads it; problems go to `findings`, missing or unreadable files raise DataError."""
    if not own.json.is_file():
        raise DataError(f"{name}: {own.json} is not a file; correct `json` in the suite's datasets")
    if not own.images.is_dir():
        raise DataError(f"{name}: {own.images} is not a folder; correct `images` in the suite's datasets")
    return read_files(name, own.json, own.images, own.images, own.tasks, findings)
