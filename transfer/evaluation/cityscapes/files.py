"""Writes and reads Cityscapes' instance predictions: of each image a text file, and one PNG a mask.

A line of the text file is `<mask.png> <label id> <score>`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from transfer.datasets.base import Dataset
from transfer.datasets.cityscapes.frame import Frame
from transfer.datasets.cityscapes.labels import ID_OF, INSTANCES, NAMES
from transfer.datasets.coco.rle import encode, runs
from transfer.errors import DataError
from transfer.evaluation.cityscapes.instances import check_instances
from transfer.evaluation.folder import whole_files
from transfer.evaluation.prediction import Prediction


def _index_path(directory: Path, image_id: str) -> Path:
    return directory / f"{image_id}_pred.txt"


def write_instances(
    dataset: Dataset[list[Frame]], predictions: Sequence[Prediction], directory: Path
) -> None:
    """Writes the submission files, each whole or not at all; without detections a text file is empty."""
    check_instances(dataset, predictions)
    by_id = {p.image_id: p for p in predictions}
    with whole_files(directory) as folder:
        for frame in dataset.ground_truth:
            p = by_id.get(frame.image_id, Prediction(frame.image_id))
            lines = []
            for i in range(len(p)):
                assert p.masks is not None
                name = INSTANCES[int(p.classes[i])]
                png = f"{frame.image_id}_{i}_{name}.png"
                _write_mask(p.masks[i], folder / png)
                lines.append(f"{png} {ID_OF[name]} {float(p.scores[i])!r}\n")
            _index_path(folder, frame.image_id).write_text("".join(lines), encoding="utf-8")


def _write_mask(rle: dict[str, Any], path: Path) -> None:
    """A PNG of one bit a pixel, which every reader takes as 0 and 255."""
    from PIL import Image

    height, width = rle["size"]
    columns, pieces = np.zeros((width, height), bool), runs(rle)
    for start, end in pieces:
        columns.reshape(-1)[start:end] = True
    rows = np.zeros((height, width), bool)
    if pieces:  # only the columns of the mask: to turn the whole image takes longer than to compress it
        some = slice(pieces[0][0] // height, pieces[-1][1] // height + 1)
        rows[:, some] = columns[some].T
    bits = np.packbits(rows, axis=1)
    Image.frombytes("1", (width, height), bits.tobytes()).save(path, compress_level=1)


def read_instances(dataset: Dataset[list[Frame]], directory: Path) -> list[Prediction]:
    """Reads what `write_instances` wrote; DataError names file and line of anything else."""
    from PIL import Image

    predictions = []
    for frame in dataset.ground_truth:
        path = _index_path(directory, frame.image_id)
        if not path.is_file():
            raise DataError(
                f"{path}: missing; expected one text file for each of the {len(dataset.records)} images"
            )
        masks, scores, classes = [], [], []
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            words = line.split()
            try:
                name, label, score = words[0], int(words[1]), float(words[2])
                classes.append(INSTANCES.index(NAMES[label]))
                if len(words) > 3 or "/" in name or label < 0:
                    raise ValueError
                with Image.open(directory / name) as image:
                    masks.append(np.array(image.convert("L")) > 0)
            except (IndexError, ValueError, OSError) as e:
                expected = "<mask.png> <label id> <score>, the mask beside it"
                raise DataError(
                    f"{path}: line {number}: {line[:60]!r} ({e or 'bad form'}); expected {expected}"
                ) from None
            scores.append(score)
        boxes = np.array([_box(m) for m in masks], np.float32).reshape(-1, 4)
        rles = encode(np.array(masks)) if masks else []
        predictions.append(
            Prediction(frame.image_id, boxes, np.array(scores), np.array(classes, np.int64), masks=rles)
        )
    return predictions


def _box(mask: np.ndarray) -> tuple[int, int, int, int]:
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    if not len(rows):
        return 0, 0, 0, 0
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1
