"""Writes down what a copy of a set holds, record by record, so that two copies can be compared anywhere.

A line has an image's split, id, size, the SHA-256 of its bytes and that of its annotations as they are read.
Paths, mirrors, packing, and how a JSON or a PNG was written, are no part of it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from boltons.fileutils import atomic_save

from transfer.datasets.base import Dataset
from transfer.datasets.image_identity import image_digests
from transfer.datasets.image_list.content import digests
from transfer.datasets.image_list.images import LabelledImages
from transfer.datasets.images import check_header, of_each
from transfer.datasets.mask_images import read_mask
from transfer.datasets.records import column
from transfer.errors import DataError
from transfer.process.disk import writing

HEAD = "moco-transfer content 1"
_PLACES = ("file_name", "sem_seg_file_name")
_SAYS = {
    "size": "its size is {}, there {}",
    "image": "other bytes of the image",
    "truth": "other annotations",
}


class Line(NamedTuple):
    """One image: split, id, WIDTHxHEIGHT or nothing, SHA-256 of its bytes and of its annotations."""

    split: str
    id: str
    size: str
    image: str
    truth: str


def lines_of(dataset: Dataset[Any]) -> list[Line]:
    """The lines of a split that was read, in its order; each image and class map is read once."""
    records = dataset.records
    images = image_digests(column(records, "file_name").tolist(), check_header)
    numbers = range(len(records))
    truths = of_each(lambda i: _truth(records[i]), numbers, f"read annotations of {dataset.name}")
    ids, widths, heights = (column(records, name).tolist() for name in ("image_id", "width", "height"))
    sizes = [f"{width}x{height}" for width, height in zip(widths, heights, strict=True)]
    columns = zip(map(str, ids), sizes, images, truths, strict=True)
    return [Line(dataset.name, *values) for values in columns]


def lines_of_labelled(images: LabelledImages) -> list[Line]:
    """The lines of a part of a set of labelled images: an annotation is its label."""
    classes = [images.classes] * len(images)
    labels = (str(label) if isinstance(label, list) else names[label]
              for label, names in zip(images.labels.tolist(), classes, strict=True))  # fmt: skip
    columns = zip(images.ids, digests(images), labels, strict=True)
    return [Line(images.name, one, "", image, label) for one, image, label in columns]


def _truth(record: dict[str, Any]) -> str:
    """SHA-256 of what a record says beside its id and its files; of a class map the stored numbers."""
    kept = {key: value for key, value in record.items() if key not in (*_PLACES, "image_id")}
    digest = hashlib.sha256(json.dumps(kept, sort_keys=True, default=str).encode())
    classes = record.get("sem_seg_file_name", "")
    if classes.endswith(".png"):
        pixels = read_mask(classes)
        digest.update(f"{pixels.dtype} {pixels.shape}".encode() + pixels.tobytes())
    elif classes:
        digest.update(Path(classes).read_bytes())
    return digest.hexdigest()


def digest_of(lines: Iterable[Line]) -> str:
    """SHA-256 over all lines: equal for every copy with the same content."""
    whole = hashlib.sha256(HEAD.encode())
    for line in lines:
        whole.update(_text(line).encode())
    return whole.hexdigest()


def save(path: Path, lines: Iterable[Line]) -> None:
    """Writes a list of contents, whole or not at all; DiskError where it cannot be."""
    with writing(path), atomic_save(str(path), text_mode=True, overwrite_part=True) as file:
        file.write(f"{HEAD}\n")
        file.writelines(map(_text, lines))


def load(path: Path) -> list[Line]:
    """Reads a list of contents; DataError where it is none."""
    try:
        head, *rest = path.read_text(encoding="utf-8").splitlines()
        if head != HEAD:
            raise ValueError("it begins otherwise")
        return [Line(*map(str, json.loads(text))) for text in rest]
    except (OSError, ValueError, TypeError) as error:
        says = getattr(error, "strerror", None) or error
        raise DataError(
            f"{path}: no list of contents ({says}); write one by `verify NAME --save FILE`"
        ) from None


def _text(line: Line) -> str:
    return json.dumps(list(line)) + "\n"


def differences(mine: Sequence[Line], other: Sequence[Line], where: str) -> Iterator[str]:
    """Says of each record that differs how, in the order of `mine`, then which of `other` are absent."""
    theirs = {line.id: line for line in other}
    owners = {line.image: line.id for line in other}
    for line in mine:
        there = theirs.pop(line.id, None)
        if there is None:
            yield f"image {line.id} is not in {where}"
            continue
        field = next((key for key in _SAYS if getattr(line, key) != getattr(there, key)), "")
        if not field:
            continue
        says = _SAYS[field].format(line.size, there.size)
        if line.image != there.image and line.image in owners:
            says = f"it is the picture that is image {owners[line.image]} there: indices are scrambled"
        yield f"image {line.id}: {says}"
    yield from (f"image {one} is absent, and in {where}" for one in theirs)
