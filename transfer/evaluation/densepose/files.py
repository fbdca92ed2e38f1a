"""Writes and reads DensePose result files: COCO's result entries, each with its surface as a PNG.

The channels of the PNG are part, U and V, of 8 bits.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from transfer.datasets.base import Dataset
from transfer.datasets.coco.reader import CocoTruth
from transfer.errors import DataError
from transfer.evaluation.coco.detections import detections
from transfer.evaluation.coco.files import write_list
from transfer.evaluation.densepose.surface import PackedSurface
from transfer.evaluation.prediction import Prediction

FILE = "densepose_results.json"


def write_densepose(dataset: Dataset[CocoTruth], predictions: Sequence[Prediction], directory: Path) -> None:
    """Writes one JSON list, atomically; the metric takes 8 bits of U and V, so nothing counted is lost."""
    results = detections(dataset, predictions).results("bbox")
    surfaces = [s for p in predictions for s in p.densepose or []]
    if len(surfaces) != len(results):
        raise DataError(f"{len(surfaces)} densepose surfaces for {len(results)} boxes; expected one each")
    for result, surface in zip(results, surfaces, strict=True):
        result["densepose"] = _encode(surface)
    directory.mkdir(parents=True, exist_ok=True)
    write_list(directory / FILE, results)


def read_densepose(dataset: Dataset[CocoTruth], directory: Path) -> list[Prediction]:
    """Reads what `write_densepose` wrote; DataError names the entry at fault."""
    path = directory / FILE if directory.is_dir() else directory
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))
        images: dict[int, list[dict[str, Any]]] = {}
        for entry in entries:
            images.setdefault(entry["image_id"], []).append(entry)
    except (OSError, ValueError, KeyError, TypeError) as e:
        raise DataError(f"{path}: not a list of DensePose results ({e})") from None
    classes = dataset.metadata["thing_dataset_id_to_contiguous_id"]
    predictions = []
    for image_id, of_image in images.items():
        try:
            boxes = np.array([e["bbox"] for e in of_image], float).reshape(-1, 4)
            boxes[:, 2:] += boxes[:, :2]
            predictions.append(
                Prediction(
                    image_id,
                    boxes,
                    np.array([e["score"] for e in of_image], float),
                    np.array([classes[e["category_id"]] for e in of_image], np.int64),
                    densepose=[_decode(e["densepose"]) for e in of_image],
                )
            )
        except (KeyError, TypeError, ValueError, OSError) as e:
            raise DataError(
                f"{path}: a result of image {image_id} is malformed ({type(e).__name__}: {e})"
            ) from None
    return predictions


def _encode(surface: Mapping[str, np.ndarray]) -> str:
    packed = surface if isinstance(surface, PackedSurface) else PackedSurface.pack(**surface)
    return base64.b64encode(packed.png).decode()


def _decode(text: str) -> PackedSurface:
    packed = PackedSurface(base64.b64decode(text, validate=True))
    packed["labels"]  # an unreadable one is found now
    return packed
