"""Generates truth and predictions of the size of real ones for `evaluate.py` and `evaluate_full.py`.

Every prediction is a copy of a true object, in most cases jittered.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

CATEGORIES = 80
SIDE = 512


def scene(
    images: int, objects: int, detections: int, task: str, seed: int = 0, lvis: int = 0
) -> tuple[Any, list[Any]]:
    """A Dataset in COCO's form with ground truth, and predictions; `lvis`: as many classes, LVIS's lists."""
    from transfer.datasets.base import Dataset
    from transfer.datasets.coco.images import Images
    from transfer.datasets.coco.reader import CocoTruth
    from transfer.datasets.coco.table import Collector

    rng = np.random.default_rng(seed)
    joints = 17 if task == "keypoints" else 0
    classes = 1 if joints else lvis or CATEGORIES
    owner = np.sort(rng.integers(1, images + 1, objects))
    box = _boxes(rng, objects)
    category = rng.integers(1, classes + 1, objects)
    points = rng.integers(0, SIDE, (objects, 17, 3)) if joints else None
    collector = Collector(num_keypoints=joints, crowds=not lvis)
    collector.take([_annotation(i, owner, category, box, points) for i in range(objects)])
    ids, sides = np.arange(1, images + 1), np.full(images, SIDE)
    truth = CocoTruth(
        collector.table(),
        Images(ids, sides, sides, [f"{i}.jpg" for i in ids], _lists(rng, images, lvis) if lvis else {}),
        [{"id": c, "name": f"class {c}", "frequency": "rcf"[c % 3]} for c in range(1, classes + 1)],
    )
    metadata = {
        "evaluator": "lvis" if lvis else "coco",
        "tasks": ["bbox", task] if task != "bbox" else ["bbox"],
        "thing_classes": [c["name"] for c in truth.categories],
    }
    found = rng.integers(0, objects, detections)  # the object that each detection is about
    guess = box[found] + rng.normal(0, 6, (detections, 4)) * (rng.random((detections, 1)) < 0.7)
    guess[:, 2:] = np.maximum(guess[:, 2:], 2)
    predictions = _predictions(
        rng, images, owner[found], category[found] - 1, guess, None if points is None else points[found]
    )
    if task == "segm":
        for p in predictions:
            p.masks = [_mask(b) for b in p.boxes]
    return Dataset("generated", [], metadata, {}, truth), predictions


def _lists(rng: np.random.Generator, images: int, classes: int) -> dict[str, list[list[int]]]:
    """Ten classes of each image known to be absent, one labelled incompletely."""
    names = {"neg_category_ids": 10, "not_exhaustive_category_ids": 1}
    return {k: rng.integers(1, classes + 1, (images, n)).tolist() for k, n in names.items()}


def _boxes(rng: np.random.Generator, n: int) -> np.ndarray:
    """(n, 4) xywh inside the image, sizes spread as COCO's small, medium and large."""
    size = np.exp(rng.uniform(np.log(10), np.log(250), (n, 2)))
    return np.round(np.concatenate([rng.random((n, 2)) * (SIDE - size), size], 1), 2)


def _annotation(
    i: int, owner: np.ndarray, category: np.ndarray, box: np.ndarray, points: Any
) -> dict[str, Any]:
    x, y, w, h = box[i].tolist()
    out = {
        "id": i + 1,
        "image_id": int(owner[i]),
        "category_id": int(category[i]),
        "bbox": [x, y, w, h],
        "area": w * h * 0.7,
        "iscrowd": 0,
        "segmentation": [[x, y, x + w, y, x + w, y + h, x, y + h]],
    }
    if points is not None:
        flat = points[i].copy()
        flat[:, 2] = flat[:, 2] % 3
        out |= {"keypoints": flat.ravel().tolist(), "num_keypoints": int((flat[:, 2] > 0).sum())}
    return out


def _predictions(
    rng: np.random.Generator,
    images: int,
    owner: np.ndarray,
    classes: np.ndarray,
    boxes: np.ndarray,
    points: Any,
) -> list[Any]:
    from transfer.evaluation.prediction import Prediction

    order = np.argsort(owner, kind="stable")
    edges = np.searchsorted(owner[order], np.arange(1, images + 2))
    corners = np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], 1).astype(np.float32)
    scores = rng.random(len(boxes)).astype(np.float32)
    out = []
    for image in range(images):
        mine = order[edges[image] : edges[image + 1]]
        p = Prediction(image + 1, corners[mine], scores[mine], classes[mine])
        if points is not None:
            p.keypoints = points[mine].astype(np.float32) + rng.normal(0, 5, (len(mine), 17, 3)).astype(
                np.float32
            )
        out.append(p)
    return out


def _mask(box: np.ndarray) -> dict[str, Any]:
    from pycocotools import mask

    x0, y0, x1, y1 = (float(v) for v in np.clip(box, 0, SIDE))
    return mask.frPyObjects([[x0, y0, x1, y0, x1, y1, x0, y1]], SIDE, SIDE)[0]


def street_scene(images: int, masks: int, root: Path, seed: int = 0) -> tuple[Any, list[Any]]:
    """Cityscapes frames of 2048 x 1024 with 30 instances each, and `masks` predictions an image.

    The frames' maps lie under `root`. A prediction is an instance, shifted.
    """
    from PIL import Image, ImageDraw
    from pycocotools import mask

    from transfer.datasets.base import Dataset
    from transfer.datasets.cityscapes.frame import Frame
    from transfer.datasets.cityscapes.labels import ID_OF, INSTANCES
    from transfer.evaluation.prediction import Prediction

    rng = np.random.default_rng(seed)
    width, height, objects = 2048, 1024, 30
    angle = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    circle = np.stack([np.cos(angle), np.sin(angle)], 1)
    frames, predictions = [], []
    for i in range(images):
        classes = rng.integers(0, len(INSTANCES), objects)
        radius = np.exp(rng.uniform(np.log(8), np.log(120), (objects, 1, 2)))
        outlines = rng.random((objects, 1, 2)) * (width, height) + circle * radius
        canvas = Image.new("I", (width, height), ID_OF["road"])
        draw = ImageDraw.Draw(canvas)
        draw.rectangle((0, 0, width, 40), fill=ID_OF["static"])
        for k, (cls, outline) in enumerate(zip(classes, outlines, strict=True)):
            value = 1000 * ID_OF[INSTANCES[cls]] + k
            draw.polygon([(float(x), float(y)) for x, y in outline], fill=value)
        path = root / f"street_{i:06d}_instanceIds.png"
        Image.fromarray(np.array(canvas).astype(np.uint16)).save(path, compress_level=1)
        frames.append(Frame(f"street_{i:06d}_000019", "", str(path), "", ""))
        found = rng.integers(0, objects, masks)
        guesses = outlines[found] + rng.normal(0, 8, (masks, 1, 2))
        guesses = guesses.clip(0, (width, height)).reshape(masks, -1)
        rles = [mask.frPyObjects([g.tolist()], height, width)[0] for g in guesses]
        scores = rng.random(masks).astype(np.float32)
        boxes = np.zeros((masks, 4), np.float32)
        predictions.append(Prediction(frames[-1].image_id, boxes, scores, classes[found], masks=rles))
    metadata = {"evaluator": "cityscapes_instance", "tasks": ["segm"], "thing_classes": list(INSTANCES)}
    return Dataset("generated", [], metadata, {}, frames), predictions
