"""Lists the names of the data sets (Detectron2's registered names), and loads one by name."""

from __future__ import annotations

import difflib
import shlex
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from converters.command import spelled
from transfer.datasets import ade20k, own_formats, voc, voc_segmentation
from transfer.datasets.base import Dataset, Spec
from transfer.datasets.cityscapes import reader as cityscapes
from transfer.datasets.coco import lvis
from transfer.datasets.coco import reader as coco
from transfer.datasets.coco.own import OwnDataset
from transfer.datasets.findings import Findings
from transfer.datasets.image_identity import with_image_content
from transfer.datasets.split import part_of, split_name
from transfer.datasets.waiting import waiting
from transfer.errors import DataError

SPECS: dict[str, Spec] = {
    spec.name: spec
    for spec in [
        *voc.SPECS,
        *coco.SPECS,
        *lvis.SPECS,
        *cityscapes.SPECS,
        *voc_segmentation.SPECS,
        *ade20k.SPECS,
    ]
}


def dataset_names() -> list[str]:
    """All names that `load_dataset` knows, in a stable order."""
    return list(SPECS)


def describe_layout(name: str, others: Iterable[str] = ()) -> str:
    """The files and folders that a data set is read from, relative to the data root, one per line.

    DataError for an unknown name, with the nearest ones, among them `others`.
    """
    return "\n".join(_spec(name, others).layout)


def training_images(name: str) -> int | None:
    """The number of images that training may draw; None where only the data tell."""
    return SPECS[name].training_images if name in SPECS else None


def load_dataset(name: str, root: Path, own: Mapping[str, OwnDataset] | None = None) -> Dataset[Any]:
    """Reads and checks one data set, and hashes its images; `own` are the user's, by name.

    NAME@fit and NAME@hold are the parts of a data set (see `split`).

    Raises DataError for an unknown name (nearest names offered), missing folders (what is expected where)
    and any annotation that breaks a rule (file, record, field, value, rule).
    """
    name, part = split_name(name)
    findings = Findings()
    with waiting(f"reading {name}"):
        if own and name in own:
            dataset = own_formats.read(own[name], findings)
            own_formats.stop(own[name], dataset, findings)
        else:
            dataset = read_dataset(name, root, findings, own or ())
            command = spelled("transfer.datasets", f"check {name} --data-root {shlex.quote(str(root))}")
            findings.stop_on_error(f"data set {name}", command)
    dataset = with_image_content(dataset)
    return part_of(dataset, part) if part else dataset


def read_dataset(name: str, root: Path, findings: Findings, others: Iterable[str] = ()) -> Dataset[Any]:
    """As `load_dataset`, but leaves broken rules to the caller, in `findings`; hashes no images.

    others: names of further data sets that a user might have meant.
    """
    spec = _spec(name, others)
    root = Path(root).expanduser().absolute()
    if not root.is_dir():
        raise DataError(
            f"data root {root} is not a directory; {name} expects there: {', '.join(spec.layout)}; "
            "pass --data-root DIR or set DETECTRON2_DATASETS; "
            f"`{spelled('transfer.datasets', 'list')}` shows what `prepare` fetches"
        )
    return spec.read(name, root, findings)


def _spec(name: str, others: Iterable[str] = ()) -> Spec:
    if name not in SPECS:
        near = difflib.get_close_matches(name, [*others, *SPECS], n=3, cutoff=0.4)
        hint = f"did you mean {', '.join(near)}?" if near else f"known: {', '.join(SPECS)}"
        raise DataError(
            f"unknown data set {name!r}; {hint}; your own are defined under `datasets` in your suite's file"
        )
    return SPECS[name]
