"""Random COCO scenes as documents: crowds, ties, empty classes, many detections, images and classes 0."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from pycocotools import mask as rle

from tests.conftest import blank_image
from transfer.datasets.base import Dataset
from transfer.datasets.coco.images import Images
from transfer.datasets.coco.names import KEYPOINT_NAMES
from transfer.datasets.coco.reader import CocoTruth
from transfer.datasets.coco.table import Collector
from transfer.evaluation.prediction import Prediction

SIDE = 160


def document(
    rng: np.random.RandomState, task: str, images: int = 2, categories: int = 3, lvis: bool = False
) -> dict[str, Any]:
    """A COCO document; boxes of all three sizes, in LVIS scenes with federated lists."""
    first_image, first_category = (1, 1) if lvis else (int(rng.choice([0, 7])), int(rng.choice([0, 1, 18])))
    ids = [first_image + 3 * i for i in range(images)]
    category_ids = [first_category + (1 if lvis else 2) * i for i in range(categories)]
    annotations = []
    for image in ids:
        for _ in range(rng.randint(0, 6)):
            w, h = np.round(rng.choice([10, 40, 110], 2) * rng.uniform(0.6, 1.3, 2), 1)
            x, y = np.round(rng.uniform(0, SIDE - np.array([w, h])), 1)
            crowd = int(task != "keypoints" and not lvis and rng.rand() < 0.15)
            a = {
                "id": len(annotations) + 1,
                "image_id": image,
                "category_id": int(
                    rng.choice(category_ids[: max(1, categories - 1)])
                ),  # the last one stays empty
                "bbox": [float(v) for v in (x, y, w, h)],
                "area": float(w * h * rng.choice([0.5, 1.0])),
                "segmentation": [[float(v) for v in (x, y, x + w, y, x + w, y + h, x, y + h)]],
            }
            if not lvis:
                a["iscrowd"] = crowd
            if crowd:
                whole = rle.merge(rle.frPyObjects(a["segmentation"], SIDE, SIDE))
                a["segmentation"] = {"size": [SIDE, SIDE], "counts": whole["counts"].decode()}
            if task == "keypoints":
                n = len(KEYPOINT_NAMES)
                points = np.c_[rng.randint(0, SIDE, (n, 2)), rng.choice([0, 1, 2], n)]
                if rng.rand() < 0.15:  # people without any labelled point
                    points[:, 2] = 0
                a["keypoints"] = points.ravel().tolist()
                a["num_keypoints"] = int((points[:, 2] > 0).sum())
            annotations.append(a)
    entries = [{"id": i, "width": SIDE, "height": SIDE, "file_name": f"{i:012d}.jpg"} for i in ids]
    classes = [{"id": c, "name": f"class {c}"} for c in category_ids]
    if lvis:
        for e in entries:
            present = {a["category_id"] for a in annotations if a["image_id"] == e["id"]}
            absent = [c for c in category_ids if c not in present]
            e["neg_category_ids"] = [int(c) for c in absent if rng.rand() < 0.6]
            e["not_exhaustive_category_ids"] = [int(c) for c in present if rng.rand() < 0.3]
            e["coco_url"] = f"http://images.cocodataset.org/val2017/{e['file_name']}"
        for k, c in enumerate(classes):
            c["frequency"] = "rcf"[k % 3]
    if task == "keypoints":
        for c in classes:
            c["keypoints"] = list(KEYPOINT_NAMES)
    return {"images": entries, "annotations": annotations, "categories": classes}


def dataset(doc: dict[str, Any], tasks: tuple[str, ...], evaluator: str = "coco") -> Dataset:
    """The document as a Dataset, without files."""
    keypoints = "keypoints" in tasks
    collector = Collector(num_keypoints=len(KEYPOINT_NAMES) if keypoints else 0, crowds=evaluator != "lvis")
    collector.take(doc["annotations"])
    assert not collector.bad
    n = len(doc["images"])
    extra = {
        k: [e.get(k, []) for e in doc["images"]] for k in ("neg_category_ids", "not_exhaustive_category_ids")
    }
    ids = np.array([e["id"] for e in doc["images"]])
    sides = np.full(n, SIDE)
    images = Images(
        ids, sides, sides, [e["file_name"] for e in doc["images"]], extra if evaluator == "lvis" else {}
    )
    metadata = {
        "evaluator": evaluator,
        "tasks": list(tasks),
        "thing_classes": [c["name"] for c in doc["categories"]],
        "thing_dataset_id_to_contiguous_id": {c["id"]: i for i, c in enumerate(doc["categories"])},
    }
    return Dataset("scene", [], metadata, {}, CocoTruth(collector.table(), images, doc["categories"]))


def predictions(
    rng: np.random.RandomState, doc: dict[str, Any], tasks: tuple[str, ...], many: int = 0
) -> list[Prediction]:
    """Jittered, doubled, dropped and invented (0 to 3, or `many`) detections an image; scores with ties."""
    index = {c["id"]: i for i, c in enumerate(doc["categories"])}
    out = []
    for entry in doc["images"]:
        boxes, classes, points = [], [], []
        for a in doc["annotations"]:
            if a["image_id"] != entry["id"]:
                continue
            for _ in range(rng.choice([0, 1, 1, 2])):
                x, y, w, h = np.array(a["bbox"]) + rng.randn(4) * rng.choice([0, 1, 6])
                boxes.append([x, y, x + max(w, 1), y + max(h, 1)])
                classes.append(index[a["category_id"]] if rng.rand() < 0.9 else rng.randint(len(index)))
                if "keypoints" in tasks:
                    p = np.array(a["keypoints"], float).reshape(-1, 3)
                    p[:, :2] += 0.5 + rng.randn(len(p), 2) * rng.choice([0, 2, 10])
                    points.append(p)
        for _ in range(many or rng.randint(0, 4)):
            x, y = rng.uniform(0, SIDE - 40, 2)
            boxes.append([x, y, x + rng.uniform(4, 40), y + rng.uniform(4, 40)])
            classes.append(rng.randint(len(index)))
            points.append(np.c_[rng.uniform(0, SIDE, (len(KEYPOINT_NAMES), 2)), np.ones(len(KEYPOINT_NAMES))])
        n = len(boxes)
        scores = rng.choice([0.2, 0.4, 0.4, 0.6, 0.9], n) if rng.rand() < 0.5 else rng.rand(n)
        p = Prediction(
            entry["id"],
            np.array(boxes, np.float32).reshape(-1, 4),
            scores.astype(np.float32),
            np.array(classes, int),
        )
        if "segm" in tasks:
            p.masks = [_mask(b) for b in p.boxes]
        if "keypoints" in tasks:
            p.keypoints = np.array(points, np.float32).reshape(n, len(KEYPOINT_NAMES), 3)
        out.append(p)
    return out


def _mask(box: np.ndarray) -> dict[str, Any]:
    x0, y0, x1, y1 = (float(v) for v in np.clip(box, 0, SIDE))
    return rle.merge(rle.frPyObjects([[x0, y0, x1, y0, x1, y1, x0, y1]], SIDE, SIDE))


def write(root: Path, doc: dict[str, Any], path: str, folder: str) -> None:
    """The document and empty image files on disk, where a reader finds them."""
    for sub in (folder, str(Path(path).parent)):
        (root / sub).mkdir(parents=True, exist_ok=True)
    (root / path).write_text(json.dumps(doc))
    for e in doc["images"]:
        blank_image(root / folder / e["file_name"])
