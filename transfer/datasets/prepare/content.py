"""Writes down what a copy of a set holds, record by record, so that two copies can be compared anywhere.

A line has an image's split, id, size, the SHA-256 of its bytes and that of its annotations: what is trained
on and all that a metric reads. One more line a split is of its classes. Paths, mirrors, packing, and how a
JSON or a PNG was written, are no part of it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from boltons.fileutils import atomic_save

from transfer.datasets.base import Dataset
from transfer.datasets.cityscapes.frame import instance_map
from transfer.datasets.cityscapes.polygons import draw_polygons
from transfer.datasets.coco.reader import CocoTruth
from transfer.datasets.image_identity import image_digests
from transfer.datasets.image_list.content import digests
from transfer.datasets.image_list.images import Images, LabelledImages
from transfer.datasets.image_list.public.revisited import RetrievalSet
from transfer.datasets.images import check_header, of_each
from transfer.datasets.mask_images import read_mask
from transfer.datasets.records import column
from transfer.errors import DataError
from transfer.process.disk import writing

HEAD = "moco-transfer content 2"
_PLACES = ("file_name", "sem_seg_file_name")
_CLASSES = ("thing_classes", "stuff_classes", "class_frequency", "thing_dataset_id_to_contiguous_id")
_SAYS = {
    "size": "its size is {}, there {}",
    "image": "other bytes of the image",
    "truth": "other annotations",
}


class Line(NamedTuple):
    """One image: split, id, WIDTHxHEIGHT or nothing, SHA-256 of its bytes and of its annotations.

    The line of a split's classes has no id, no size and no image.
    """

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
    scored = _scored(dataset.ground_truth)
    truths = of_each(lambda i: _truth(records[i], scored(i)), numbers, f"read annotations of {dataset.name}")
    ids, widths, heights = (column(records, name).tolist() for name in ("image_id", "width", "height"))
    sizes = [f"{width}x{height}" for width, height in zip(widths, heights, strict=True)]
    columns = zip(map(str, ids), sizes, images, truths, strict=True)
    classes = {key: dataset.metadata[key] for key in _CLASSES if key in dataset.metadata}
    return [_of_classes(dataset.name, classes), *(Line(dataset.name, *values) for values in columns)]


def lines_of_labelled(images: LabelledImages) -> list[Line]:
    """The lines of a part of a set of labelled images: an annotation is its label."""
    classes = [images.classes] * len(images)
    labels = (str(label) if isinstance(label, list) else names[label]
              for label, names in zip(images.labels.tolist(), classes, strict=True))  # fmt: skip
    return [_of_classes(images.name, images.classes), *_lines(images, labels)]


def lines_of_retrieval(found: RetrievalSet) -> tuple[list[Line], list[Line]]:
    """The lines of the images that are searched, and of the queries: a box, and what is right for each."""
    names = found.images.ids
    rows = zip(found.boxes.tolist(), found.easy, found.hard, found.junk, strict=True)
    truths = (
        _sha256([box, *(sorted(names[i] for i in numbers.tolist()) for numbers in right)])
        for box, *right in rows
    )
    return _lines(found.images, [""] * len(names)), _lines(found.queries, truths)


def _lines(images: Images, truths: Iterable[str]) -> list[Line]:
    columns = zip(images.ids, digests(images), truths, strict=True)
    return [Line(images.name, one, "", image, truth) for one, image, truth in columns]


def _of_classes(name: str, classes: Any) -> Line:
    return Line(name, "", "", "", _sha256(classes))


def _sha256(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()


def _truth(record: dict[str, Any], scored: bytes) -> str:
    """SHA-256 of what a record says beside its id and its files, and of what is scored by."""
    kept = {key: value for key, value in record.items() if key not in (*_PLACES, "image_id")}
    digest = hashlib.sha256(_sha256(kept).encode() + scored)
    if classes := record.get("sem_seg_file_name", ""):
        drawn = classes.endswith(".json")
        digest.update(_numbers(draw_polygons(classes, numbered=False) if drawn else read_mask(classes)))
    return digest.hexdigest()


def _scored(truth: Any) -> Callable[[int], bytes]:
    """Returns what the metric reads of image i beside its record, in which VOC and ADE20K have all."""
    if isinstance(truth, CocoTruth):
        return _annotations(truth)
    if truth is None:
        return lambda i: b""
    return lambda i: _numbers(instance_map(truth[i])) if truth[i].instance_ids or truth[i].polygons else b""


def _annotations(truth: CocoTruth) -> Callable[[int], bytes]:
    """Returns all annotations of image i as the file has them, also those that nobody trains on."""
    table = truth.table
    image_of = truth.images.index_of(table.rows["image_id"])
    order = np.argsort(image_of, kind="stable")
    starts = np.searchsorted(image_of[order], np.arange(len(truth.images.names) + 1))

    def of(i: int) -> bytes:
        own = order[starts[i] : starts[i + 1]]
        rest = _sha256([(table.segmentation(n), table.densepose.get(n)) for n in own.tolist()])
        columns = (table.rows, table.keypoints, table.num_keypoints)
        return b"".join(column[own].tobytes() for column in columns if column is not None) + rest.encode()

    return of


def _numbers(pixels: np.ndarray) -> bytes:
    """The stored numbers of a map, whatever type the file has."""
    return f"{pixels.shape}".encode() + pixels.astype("<i4").tobytes()


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
        who = f"image {line.id}" if line.id else "the line of the classes"
        if there is None:
            yield f"{who} is not in {where}"
            continue
        field = next((key for key in _SAYS if getattr(line, key) != getattr(there, key)), "")
        if not field:
            continue
        says = _SAYS[field].format(line.size, there.size) if line.id else "other names, ids or frequencies"
        if line.image != there.image and line.image in owners:
            says = f"it is the picture that is image {owners[line.image]} there: indices are scrambled"
        yield f"{who}: {says}"
    yield from (f"image {one} is absent, and in {where}" for one in theirs)
