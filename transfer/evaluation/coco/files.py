"""Writes and reads COCO's and LVIS's result files: a list of dicts with image_id, category_id, bbox, score.

With masks or keypoints a dict also has segmentation or keypoints.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import orjson
from boltons.fileutils import atomic_save

from transfer.datasets.base import Dataset
from transfer.datasets.coco.reader import CocoTruth
from transfer.datasets.coco.rle import as_text, run_lengths
from transfer.errors import DataError
from transfer.evaluation.coco.detections import detections
from transfer.evaluation.prediction import Prediction

SLICE = 10_000  # entries that exist as dicts at a time
FILES = {
    "coco": "coco_instances_results.json",
    "lvis": "lvis_instances_results.json",
}


def write_coco(dataset: Dataset[CocoTruth], predictions: Sequence[Prediction], directory: Path) -> None:
    """Writes the result file that the benchmark's server takes, atomically; numbers in full."""
    found = detections(dataset, predictions)
    parts = ["bbox"]
    parts += ["segmentation"] if found.masks is not None else []
    parts += ["keypoints"] if found.keypoints is not None else []

    def entries() -> Iterator[dict[str, Any]]:
        for start in range(0, len(found), SLICE):
            for entry in found.take(slice(start, start + SLICE)).results(*parts):
                if "segmentation" in entry:
                    entry["segmentation"] = as_text(entry["segmentation"])
                yield entry

    directory.mkdir(parents=True, exist_ok=True)
    write_list(directory / FILES[dataset.metadata["evaluator"]], entries())


def write_list(path: Path, entries: Iterable[dict[str, Any]]) -> None:
    """Writes a JSON list, atomically, an entry at a time: 1.5 million at once take gigabytes as dicts."""
    with atomic_save(str(path), overwrite_part=True) as f:
        between = b"["
        for entry in entries:
            f.write(between + orjson.dumps(entry))
            between = b",\n"
        f.write(b"[]" if between == b"[" else b"]")


def read_coco_results(dataset: Dataset[CocoTruth], directory: Path) -> list[Prediction]:
    """Reads the folder of `write_coco`, or any one result file; DataError names the entry at fault."""
    path = directory / FILES[dataset.metadata["evaluator"]] if directory.is_dir() else directory
    try:
        entries = json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as e:
        raise DataError(f"{path}: {e.strerror}; expected a COCO result file") from None
    except (ValueError, RecursionError) as e:
        raise DataError(f"{path}: not valid JSON ({e}); expected a COCO result file") from None
    if not isinstance(entries, list):
        raise DataError(f"{path}: got {type(entries).__name__}; expected a list of results")
    classes = dataset.metadata["thing_dataset_id_to_contiguous_id"]
    images: dict[int, list[dict[str, Any]]] = {}
    for index, entry in enumerate(entries):
        problem = _problem(entry, classes)
        if problem:
            raise DataError(f"{path}: result {index}: {problem}")
        images.setdefault(entry["image_id"], []).append(entry)
    parts = [key for key in ("segmentation", "keypoints") if entries and key in entries[0]]
    for index, entry in enumerate(entries):
        for key in ("segmentation", "keypoints"):
            if (key in entry) != (key in parts):
                raise DataError(
                    f"{path}: result {index}: {key} given for some results only; expected all or none"
                )
    return [_prediction(image_id, of_image, classes, parts) for image_id, of_image in images.items()]


def _problem(entry: Any, classes: dict[int, int]) -> str | None:
    if not isinstance(entry, dict):
        return f"got {type(entry).__name__}, expected an object"
    for key in ("image_id", "category_id", "score"):
        if key not in entry:
            return f"{key} is missing"
    if not _number(entry["category_id"]) or entry["category_id"] not in classes:
        return f"category_id {entry['category_id']!r} is not in the annotations"
    if type(entry["image_id"]) is not int:
        return f"image_id {entry['image_id']!r} is no integer"
    box = entry.get("bbox")
    if box is not None and not (isinstance(box, list) and len(box) == 4 and all(map(_number, box))):
        return f"bbox {box!r}, expected [x, y, width, height]"
    if not _number(entry["score"]):
        return f"score {entry['score']!r}, expected a number"
    if "segmentation" in entry and not _is_mask(entry["segmentation"]):
        return "segmentation is no valid compressed run-length mask"
    points = entry.get("keypoints", [])
    if not (isinstance(points, list) and len(points) % 3 == 0 and all(map(_number, points))):
        return "keypoints must be a list of x, y, score"
    return None


def _is_mask(shape: Any) -> bool:
    """Whether it is one that pycocotools can read, which would write out of bounds for a broken text."""
    try:
        height, width = shape["size"]
        sound = type(height) is type(width) is int and height >= 0 and isinstance(shape["counts"], str)
        return sound and run_lengths(shape["counts"], height * width) is not None
    except (LookupError, TypeError, ValueError):
        return False


def _number(value: Any) -> bool:
    """Whether it is a number that a float holds: no NaN, and no integer beyond all floats."""
    return type(value) in (int, float) and abs(value) <= sys.float_info.max


def _prediction(
    image_id: int, entries: list[dict[str, Any]], classes: dict[int, int], parts: list[str]
) -> Prediction:
    # float64 holds x + width exactly, so that the width comes back to the last bit
    boxes = np.array([e.get("bbox") or _box_of(e) for e in entries], float)
    boxes[:, 2:] += boxes[:, :2]
    keypoints = None
    if "keypoints" in parts:
        keypoints = np.array([e["keypoints"] for e in entries], float).reshape(len(entries), -1, 3)
        keypoints[:, :, :2] += 0.5
    return Prediction(
        image_id,
        boxes,
        np.array([e["score"] for e in entries], float),
        np.array([classes[e["category_id"]] for e in entries], np.int64),
        masks=[e["segmentation"] for e in entries] if "segmentation" in parts else None,
        keypoints=keypoints,
    )


def _box_of(entry: dict[str, Any]) -> list[float]:
    """The box of a result that has none of its own, as the metric takes it."""
    if "segmentation" in entry:
        from pycocotools import mask

        return mask.toBbox(entry["segmentation"]).tolist()
    points = entry.get("keypoints") or [0.0, 0.0, 0.0]
    xs, ys = points[0::3], points[1::3]
    return [min(xs), min(ys), max(xs) - min(xs), max(ys) - min(ys)]
