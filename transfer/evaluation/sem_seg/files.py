"""Writes and reads class maps: palette PNGs of VOC, PNGs of Cityscapes' label ids and of ADE20K's classes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from transfer.datasets.base import Dataset
from transfer.datasets.cityscapes.labels import LABEL_ID_OF
from transfer.datasets.class_maps import read_class_map
from transfer.datasets.mask_images import IGNORE
from transfer.datasets.voc_segmentation import voc_palette
from transfer.errors import DataError
from transfer.evaluation.folder import whole_files
from transfer.evaluation.prediction import Prediction
from transfer.evaluation.sem_seg.metric import by_image, class_map


def _shifted(classes: np.ndarray) -> np.ndarray:
    return (classes + 1).astype(np.uint8)


def _path(dataset: Dataset[Any], directory: Path, image_id: str) -> Path:
    evaluator = dataset.metadata["evaluator"]
    if evaluator == "voc_sem_seg":
        return directory / f"comp6_{dataset.metadata['split']}_cls" / f"{image_id}.png"
    return directory / (f"{image_id}.png" if evaluator == "ade20k_sem_seg" else f"{image_id}_pred.png")


# `sem_seg_encoding` -> classes as that encoding stores them; `transfer.datasets.class_maps` reads them back.
ENCODED: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "index": lambda classes: classes.astype(np.uint8),
    "cityscapes_ids": lambda classes: LABEL_ID_OF[classes],
    "one_more": _shifted,
}


def write_sem_seg(dataset: Dataset[Any], predictions: Sequence[Prediction], directory: Path) -> None:
    """Writes a PNG an image, whole or not at all, in the encoding of the data set; VOC's has its palette."""
    from PIL import Image

    encoding = dataset.metadata["sem_seg_encoding"]
    by_id = by_image(dataset, predictions)
    num_classes = len(dataset.metadata["stuff_classes"])
    with whole_files(directory) as folder:
        for record in dataset.records:
            classes = class_map(by_id[record["image_id"]], (record["height"], record["width"]), num_classes)
            image = Image.fromarray(ENCODED[encoding](classes))
            if encoding == "index":
                image.putpalette(voc_palette())
            path = _path(dataset, folder, record["image_id"])
            path.parent.mkdir(exist_ok=True)
            image.save(path)


def read_sem_seg_files(dataset: Dataset[Any], directory: Path) -> list[Prediction]:
    """Reads what `write_sem_seg` wrote; DataError for a missing file, or a label id that is not judged."""
    predictions = []
    for record in dataset.records:
        path = _path(dataset, directory, record["image_id"])
        if not path.is_file():
            raise DataError(
                f"{path}: missing; expected one PNG for each of the {len(dataset.records)} images"
            )
        classes = read_class_map(path, dataset.metadata["sem_seg_encoding"])
        if (classes == IGNORE).any():
            raise DataError(f"{path}: pixels of no judged class; every pixel needs one of the judged classes")
        predictions.append(Prediction(record["image_id"], sem_seg=classes))
    return predictions
