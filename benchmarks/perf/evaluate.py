"""How fast data is read and scored: `python benchmarks/perf/evaluate.py [--part full|score|read]`.

Full: all that follows the predictions at full size (summary, classes, result files), as it was, twice over on
    each process, and as it is; the cases are named in `evaluate_full.py`. `--scale 0.02` tries it.
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
ROOT = Path(__file__).resolve().parents[2]
if sys.path[0] == str(Path(__file__).resolve().parent):  # run as a script; else that folder hides `results`
    sys.path[0] = str(ROOT)


def compare_scoring(task: str, size: dict[str, int], repeats: int) -> dict[str, Any]:
    """Times the way from predictions to statistics with pycocotools and the fastest backend, and compares.

    CPU seconds count all threads and hardly depend on other jobs; wall seconds are what one waits.
    """
    from benchmarks.perf.evaluate_scenes import scene
    from transfer.evaluation.coco.backends import BACKENDS, available
    from transfer.evaluation.coco.detections import detections

    dataset, predictions = scene(**size, task=task)
    fastest = available(BACKENDS)[0]
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
    from benchmarks.perf.evaluate_scenes import CATEGORIES

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
            done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
            out[reader] = json.loads(done.stdout.splitlines()[-1])
    out["time_ratio"] = out["pycocotools"]["seconds"] / out["transfer"]["seconds"]
    out["memory_ratio"] = out["transfer"]["peak_gb"] / out["pycocotools"]["peak_gb"]
    return out


def main(argv: list[str] | None = None) -> int:
    """Prints one JSON object a measurement."""
    from benchmarks.perf import evaluate_full as full

    parser = argparse.ArgumentParser(
        prog="benchmarks/perf/evaluate.py", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--part", choices=("full", "score", "read"), help="default: all")
    parser.add_argument("--case", nargs="+", choices=full.CASES, default=list(full.CASES), help="of full")
    parser.add_argument("--scale", type=float, default=1.0, help="share of the full size (default 1)")
    parser.add_argument("--repeats", type=int, default=5, help="of the fast backend; pycocotools runs once")
    parser.add_argument("--reader", choices=("transfer", "pycocotools"), help=argparse.SUPPRESS)
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--root", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    if args.reader:
        print(json.dumps(read_with(args.reader, args.root)))
        return 0
    if args.child:
        print(json.dumps(full.child(args.child[0], args.child[1], args.root, args.scale)))
        return 0

    def scaled(size: dict[str, int]) -> dict[str, int]:
        return {k: max(1, int(v * args.scale)) for k, v in size.items()}

    if args.part in (None, "full"):
        for case in args.case:
            print(json.dumps(full.compare(case, args.scale)), flush=True)
    if args.part in (None, "score"):
        people = {**VAL, "objects": 11_000, "detections": 40_000}
        for task, size in (("bbox", VAL), ("segm", VAL), ("keypoints", people)):
            print(json.dumps(compare_scoring(task, scaled(size), args.repeats)), flush=True)
    if args.part in (None, "read"):
        print(json.dumps(compare_reading(scaled(TRAIN))), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
