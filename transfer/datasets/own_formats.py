"""Defines and reads a user's own data set in its format: COCO's JSON, VOC's folders or class maps."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from transfer.datasets import own_maps
from transfer.datasets.base import Dataset
from transfer.datasets.coco.own import OwnDataset, block, make_own, read_own, stop_on_error
from transfer.datasets.findings import Findings
from transfer.datasets.image_list.own import FORMAT
from transfer.datasets.own_maps import make_own_maps, read_own_maps
from transfer.datasets.own_voc import make_own_voc, read_own_voc
from transfer.errors import DataError

_MAKERS: dict[str, Callable[[str, Mapping[Any, Any], Path], OwnDataset]] = {
    "coco": make_own,
    "voc": make_own_voc,
    own_maps.FORMAT: make_own_maps,
}
_EXPECTED = (
    "{format: coco, json: ..., images: ...}, {format: voc, devkit: ..., split: ..., classes: [...]} or "
    "{format: class_maps, images: ..., maps: ..., list: ..., classes: [...]}"
)


def define(name: str, definition: Any, suite: Path) -> OwnDataset:
    """Checks a definition of a suite's `datasets`; DataError names the file and the key."""
    where = block(suite)
    if not name or not name.isprintable():
        raise DataError(f"{where}: the name {name!r} is empty or not printable; choose letters and digits")
    if not isinstance(definition, Mapping):
        raise DataError(f"{where}: {name} is {definition!r}; expected {_EXPECTED}")
    if "format" in definition and definition["format"] not in (*_MAKERS,):
        known = " or ".join((*_MAKERS, FORMAT))
        raise DataError(f"{where}: {name}: format is {definition['format']!r}; expected {known}")
    return _MAKERS[definition.get("format", "coco")](name, definition, suite)


def read(own: OwnDataset, findings: Findings) -> Dataset[Any]:
    """Reads the data set; problems go to `findings`, missing or unreadable files raise DataError."""
    if own.maps is not None:
        return read_own_maps(own, findings)
    return read_own_voc(own, findings) if own.classes else read_own(own, findings)


def stop(own: OwnDataset, dataset: Dataset[Any], findings: Findings) -> None:
    """Raises DataError with the first error, its key in the suite file and the command that lists all."""
    if own.classes:
        key = "devkit" if own.maps is None else "list"
        findings.stop_on_error(f"{own.where}: {key}", own.check_command)
    else:
        stop_on_error(own, dataset, findings)
