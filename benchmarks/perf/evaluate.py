"""How fast data is read and scored: `python -m benchmarks.perf.evaluate [--part score|read]`.

Scoring: a generated set of the size of COCO val2017 (5,000 images, 36,000 objects, 180,000 detections, 80
    classes) through pycocotools and through the backend that `transfer.evaluation` takes; all 12 statistics
    must be identical.
Reading: a generated file of the size of instances_train2017.json through `pycocotools.COCO()` and through
`load_dataset`, each in a process of its own, so that the peaks of memory are their own.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

VAL = {"images": 5000, "objects": 36_000, "detections": 180_000}
TRAIN = {"images": 118_287, "objects": 860_001}
CATEGORIES = 80
SIDE = 512


def scene(images: int, objects: int, detections: int, task: str, seed: int = 0) -> tuple[Any, list[Any]]:
    """A Dataset with ground truth and predictions: jittered copies of the truth, and inventions."""
    from transfer.datasets import Dataset
    from transfer.datasets.coco import CocoTruth
    from transfer.datasets.coco_images import Images
    from transfer.datasets.coco_table import Collector

    rng = np.random.default_rng(seed)
    joints = 17 if task == "keypoints" else 0
    classes = 1 if joints else CATEGORIES
    owner = np.sort(rng.integers(1, images + 1, objects))
    box = _boxes(rng, objects)
    category = rng.integers(1, classes + 1, objects)
    points = rng.integers(0, SIDE, (objects, 17, 3)) if joints else None
    collector = Collector(num_keypoints=joints)
    collector.take([_annotation(i, owner, category, box, points) for i in range(objects)])
    ids, sides = np.arange(1, images + 1), np.full(images, SIDE)
    truth = CocoTruth(
        collector.table(),
        Images(ids, sides, sides, [f"{i}.jpg" for i in ids], {}),
        [{"id": c, "name": f"class {c}"} for c in range(1, classes + 1)],
    )
    metadata = {
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
    from transfer.evaluation import Prediction

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


def compare_scoring(task: str, size: dict[str, int], repeats: int) -> dict[str, Any]:
    """From predictions to statistics with pycocotools and with the fastest backend: seconds, and are they
    equal.

    CPU seconds count all threads and do not depend on what else the machine does; wall seconds are what one
    waits.
    """
    from transfer.evaluation.coco_backends import BACKENDS, available
    from transfer.evaluation.detections import detections

    dataset, predictions = scene(**size, task=task)
    fastest = available()[0]
    out: dict[str, Any] = {"task": task, **size, "backend": fastest}
    stats = {}
    for name in dict.fromkeys([fastest, "pycocotools"]):
        times = []
        for _ in range(1 if name == "pycocotools" else repeats):
            cpu, wall = time.process_time(), time.perf_counter()
            found = detections(dataset, predictions)
            stats[name] = BACKENDS[name](dataset.ground_truth, found, task)[0].tolist()
            times.append((time.process_time() - cpu, time.perf_counter() - wall))
        for kind, values in zip(("cpu", "wall"), np.array(times).T, strict=True):
            out[f"{name}_{kind}_s"] = {
                "median": float(np.median(values)),
                "min": values.min(),
                "max": values.max(),
            }
    for kind in ("cpu", "wall"):
        slow, fast = (out[f"{name}_{kind}_s"]["median"] for name in ("pycocotools", fastest))
        out[f"{kind}_ratio"] = slow / fast
    out["statistics"] = len(stats["pycocotools"])
    out["identical"] = stats["pycocotools"] == stats[fastest]
    return out


def write_train_file(root: Path, images: int, objects: int) -> Path:
    """A COCO folder under `root`: an instances_train2017.json of that size, and empty image files."""
    folder = root / "coco" / "train2017"
    folder.mkdir(parents=True)
    path = root / "coco" / "annotations" / "instances_train2017.json"
    path.parent.mkdir()
    rng = np.random.default_rng(0)
    shapes = []
    for points in rng.integers(12, 50, 200):  # on average the 30 points of COCO's polygons
        angle = np.linspace(0, 2 * np.pi, points, endpoint=False)
        outline = np.stack([300 + 190 * np.cos(angle), 250 + 140 * np.sin(angle)], 1) + rng.normal(
            0, 3, (points, 2)
        )
        low, high = outline.min(0), outline.max(0)
        box = ", ".join(f"{v:.2f}" for v in (*low, *(high - low)))
        text = ", ".join(f"{v:.2f}" for v in outline.ravel())
        shapes.append(f'{{"segmentation": [[{text}]], "area": 60000.5, "iscrowd": 0, "bbox": [{box}], ')
    with open(path, "w") as f:
        f.write('{"info": {}, "licenses": [], "images": [')
        for i in range(1, images + 1):
            (folder / f"{i:012d}.jpg").touch()
            url = f'"coco_url": "http://images.cocodataset.org/train2017/{i:012d}.jpg"'
            end = ", " if i < images else ""
            name = f'"file_name": "{i:012d}.jpg", "license": 3, {url}'
            f.write(f'{{{name}, "height": 500, "width": 640, "id": {i}}}{end}')
        f.write('], "annotations": [')
        for i in range(1, objects + 1):
            end = ", " if i < objects else ""
            ids = f'"image_id": {i % images + 1}, "category_id": {i % CATEGORIES + 1}, "id": {i}}}{end}'
            f.write(shapes[i % len(shapes)] + ids)
        categories = ", ".join(f'{{"id": {c}, "name": "class {c}"}}' for c in range(1, CATEGORIES + 1))
        f.write(f'], "categories": [{categories}]}}')
    return path


def read_with(reader: str, root: Path) -> dict[str, float]:
    """Seconds and growth of the peak memory of this process while it reads the file under `root`."""
    if reader == "pycocotools":
        from pycocotools.coco import COCO
    else:
        from transfer.datasets.findings import Findings
        from transfer.datasets.registry import read_dataset  # without the images, which pycocotools ignores
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.perf_counter()
    if reader == "pycocotools":
        with contextlib.redirect_stdout(io.StringIO()):
            keep: Any = COCO(str(root / "coco/annotations/instances_train2017.json"))
    else:
        keep = read_dataset("coco_2017_train", root, findings := Findings())
        assert not findings.errors
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert keep is not None
    return {"seconds": seconds, "peak_gb": peak * 1024 / 1e9}


def compare_reading(size: dict[str, int]) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="read-") as temporary:
        path = write_train_file(Path(temporary), **size)
        out: dict[str, Any] = {**size, "file_gb": path.stat().st_size / 1e9}
        for reader in ("transfer", "pycocotools"):
            command = [
                sys.executable,
                "-m",
                "benchmarks.perf.evaluate",
                "--reader",
                reader,
                "--root",
                temporary,
            ]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            out[reader] = json.loads(done.stdout.splitlines()[-1])
    out["time_ratio"] = out["pycocotools"]["seconds"] / out["transfer"]["seconds"]
    out["memory_ratio"] = out["transfer"]["peak_gb"] / out["pycocotools"]["peak_gb"]
    return out


def main(argv: list[str] | None = None) -> int:
    """Prints one JSON object a measurement."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.perf.evaluate", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--part", choices=("score", "read"), help="default: both")
    parser.add_argument("--scale", type=float, default=1.0, help="share of the full size (default 1)")
    parser.add_argument("--repeats", type=int, default=5, help="of the fast backend; pycocotools runs once")
    parser.add_argument("--reader", choices=("transfer", "pycocotools"), help=argparse.SUPPRESS)
    parser.add_argument("--root", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    if args.reader:
        print(json.dumps(read_with(args.reader, args.root)))
        return 0

    def scaled(size: dict[str, int]) -> dict[str, int]:
        return {k: max(1, int(v * args.scale)) for k, v in size.items()}

    if args.part != "read":
        people = {**VAL, "objects": 11_000, "detections": 40_000}
        for task, size in (("bbox", VAL), ("segm", VAL), ("keypoints", people)):
            print(json.dumps(compare_scoring(task, scaled(size), args.repeats)), flush=True)
    if args.part != "score":
        print(json.dumps(compare_reading(scaled(TRAIN))), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
