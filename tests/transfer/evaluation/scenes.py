"""Predictions made from ground truth, whole or spoilt, on small generated data sets of every task."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
from pycocotools import mask as rle

from transfer.datasets.base import Dataset
from transfer.datasets.cityscapes.frame import instance_map, instances, label_map
from transfer.datasets.class_maps import read_class_map
from transfer.datasets.registry import load_dataset
from transfer.datasets.synthetic.make import make_synthetic
from transfer.evaluation.prediction import Prediction

SIZE = {"train_images": 2, "test_images": 10, "image_size": 128}
VAL = {
    "voc": "voc_2007_test",
    "coco": "coco_2017_val",
    "keypoints": "keypoints_coco_2017_val",
    "densepose": "densepose_coco_2014_minival",
    "lvis_v0.5": "lvis_v0.5_val",
    "lvis_v1": "lvis_v1_val",
    "cityscapes_instance": "cityscapes_fine_instance_seg_val",
    "cityscapes_semantic": "cityscapes_fine_sem_seg_val",
    "voc_semantic": "voc_2012_sem_seg_val",
}


def load(task: str, root: Path, seed: int = 0) -> Dataset:
    size = {**SIZE, "train_images": 40} if task == "voc_semantic" else SIZE  # its val is half of trainval
    size = {**size, "test_images": 24} if task == "densepose" else size
    root = root / task  # sizes differ, and a generated folder has one size
    make_synthetic([VAL[task]], root, **size, seed=seed)
    return load_dataset(VAL[task], root)


def scored_records(dataset: Dataset):
    """The records with the truth that is scored by: Cityscapes has other truth for training, polygons."""
    if dataset.metadata["evaluator"] != "cityscapes_instance":
        return dataset.records
    frames = zip(dataset.records, dataset.ground_truth, strict=True)
    return [record | {"annotations": instances(instance_map(frame))} for record, frame in frames]


def fingerprint(dataset: Dataset) -> str:
    """Hash of the annotations: stored numbers do not apply where another Pillow draws a pixel differently."""
    digest = hashlib.sha256()
    for i, r in enumerate(scored_records(dataset)):
        digest.update(repr((r["image_id"], r["annotations"])).encode())
        if "sem_seg_file_name" in r:
            frame = dataset.ground_truth[i] if dataset.ground_truth else None
            digest.update((label_map(frame) if frame else read_class_map(r["sem_seg_file_name"])).tobytes())
    return digest.hexdigest()[:16]


def truth(dataset: Dataset) -> list[Prediction]:
    """The ground truth as predictions (crowds and people without labelled keypoints left out)."""
    tasks = dataset.metadata["tasks"]
    if tasks == ["sem_seg"]:
        maps = []
        for i, r in enumerate(dataset.records):
            frame = dataset.ground_truth[i] if dataset.ground_truth else None
            m = (label_map(frame) if frame else read_class_map(r["sem_seg_file_name"])).astype(np.int64)
            maps.append(Prediction(r["image_id"], sem_seg=np.where(m == 255, 0, m)))
        return maps
    return [_truth(r, tasks) for r in scored_records(dataset)]


def _truth(record, tasks) -> Prediction:
    things = [a for a in record["annotations"] if not a["iscrowd"]]
    if "keypoints" in tasks:
        things = [a for a in things if any(v > 0 for v in a["keypoints"][2::3])]
    p = Prediction(
        record["image_id"],
        np.array([a["bbox"] for a in things], np.float32).reshape(-1, 4),
        np.full(len(things), 0.9, np.float32),
        np.array([a["category_id"] for a in things], np.int64),
    )
    size = (record["height"], record["width"])
    if "segm" in tasks:
        p.masks = [as_rle(a["segmentation"], size) for a in things]
    if "keypoints" in tasks:
        p.keypoints = np.array([a["keypoints"] for a in things], np.float32).reshape(-1, 17, 3)
    if "densepose" in tasks:
        p.densepose = [_surface(a, size) for a in things]
    return p


def as_rle(shape, size):
    return rle.merge(rle.frPyObjects(shape, *size)) if isinstance(shape, list) else shape


def _surface(a, size):
    x0, y0, x1, y1 = map(int, a["bbox"])
    labels, uv = np.zeros((y1 - y0, x1 - x0), np.uint8), np.zeros((2, y1 - y0, x1 - x0))
    labels[rle.decode(as_rle(a["segmentation"], size))[y0:y1, x0:x1] > 0] = 2
    column = (np.array(a["dp_x"]) * (x1 - x0) / 255).astype(int)
    row = (np.array(a["dp_y"]) * (y1 - y0) / 255).astype(int)
    labels[row, column], uv[0, row, column], uv[1, row, column] = a["dp_I"], a["dp_U"], a["dp_V"]
    return {"labels": labels, "uv": uv}


def spoil(dataset: Dataset, predictions: list[Prediction], seed: int) -> list[Prediction]:
    """Shifts, drops, doubles and re-scores; every kind of prediction is still valid."""
    rng = np.random.RandomState(seed)
    sizes = {r["image_id"]: (r["height"], r["width"]) for r in dataset.records}
    return [_spoilt(p, sizes[p.image_id], rng) for p in predictions]


def _spoilt(p: Prediction, size, rng) -> Prediction:
    if p.sem_seg is not None:
        m = p.sem_seg.copy()
        m[:, : rng.randint(1, size[1] // 2)] = rng.randint(0, m.max() + 1)
        m[rng.rand(*size) < 0.1] = 0
        return Prediction(p.image_id, sem_seg=m)
    keep = [i for i in range(len(p)) for _ in range(rng.choice([0, 1, 1, 1, 2]))]
    moves = [tuple(int(v) for v in rng.randint(-4, 5, 2) * rng.choice([0, 1])) for _ in keep]
    boxes = p.boxes[keep] + np.array([[dx, dy, dx, dy] for dx, dy in moves], np.float32).reshape(-1, 4)
    scores = (rng.permutation(900)[: len(keep)] / 1000).astype(np.float32)
    out = Prediction(p.image_id, boxes.astype(np.float32), scores, p.classes[keep])
    if p.masks is not None:
        shifted = [
            np.roll(rle.decode(p.masks[i]), (dy, dx), (0, 1)) for i, (dx, dy) in zip(keep, moves, strict=True)
        ]
        out.masks = [rle.encode(np.asfortranarray(m)) for m in shifted]
    if p.keypoints is not None:
        out.keypoints = p.keypoints[keep] + np.array([[[dx, dy, 0]] for dx, dy in moves], np.float32).reshape(
            -1, 1, 3
        )
    if p.densepose is not None:
        out.densepose = [_blurred(p.densepose[i], rng) for i in keep]
    return out


def _blurred(surface, rng):
    uv = np.clip(surface["uv"] + rng.randn(*surface["uv"].shape) * rng.choice([0.02, 0.3]), 0, 1)
    labels = surface["labels"].copy()
    labels[rng.rand(*labels.shape) < rng.choice([0.0, 0.2])] = 0
    return {"labels": labels, "uv": uv}
