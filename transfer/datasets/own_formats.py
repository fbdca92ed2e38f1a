"""Defines and reads a user's own data set in the format that it names: COCO's JSON or VOC's folders."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from transfer.datasets.base import Dataset
from transfer.datasets.coco.own import OwnDataset, block, make_own, read_own, stop_on_error
from transfer.datasets.findings import Findings
from transfer.datasets.image_list.own import FORMAT
from transfer.datasets.own_voc import make_own_voc, read_own_voc
from transfer.errors import DataError

_MAKERS: dict[str, Callable[[str, Mapping[Any, Any], Path], OwnDataset]] = {
    "coco": make_own,
    "voc": make_own_voc,
}
_EXPECTED = "{format: coco, json: ..., images: ...} or {format: voc, devkit: ..., split: ..., classes: [...]}"


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
    return read_own_voc(own, findings) if own.classes else read_own(own, findings)


def stop(own: OwnDataset, dataset: Dataset[Any], findings: Findings) -> None:
    """Raises DataError with the first error, its key in the suite file and the command that lists all."""
    if own.classes:
        findings.stop_on_error(f"{own.where}: devkit", own.check_command)
    else:
        stop_on_error(own, dataset, findings)
