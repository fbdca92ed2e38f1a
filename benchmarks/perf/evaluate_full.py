"""Measures scoring at full size, before and now: seconds, and the memory of one process and of eight.

The scene is made by one process and read by the others, one for each way, so that peaks are their own.
"""

from __future__ import annotations

import contextlib
import gc
import json
import pickle
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
PROCESSES = 8


@dataclass(frozen=True)
class Case:
    """A scene at full size, and the backends that score it as it is and as it was."""

    images: int
    per_image: int
    objects: int  # in all; of a street 30 an image
    kind: str  # coco, lvis, cityscapes
    after: str
    before: str


CASES = {
    "coco-pycocotools": Case(5000, 100, 36_000, "coco", "pycocotools", "pycocotools"),
    "coco-hotcoco": Case(5000, 100, 36_000, "coco", "hotcoco", "hotcoco"),
    "lvis-hotcoco": Case(5000, 300, 50_000, "lvis", "hotcoco", "lvis"),
    "lvis-package": Case(5000, 300, 50_000, "lvis", "lvis", "lvis"),
    "cityscapes": Case(500, 40, 0, "cityscapes", "", ""),
}
LVIS_CLASSES = 1230


def compare(name: str, scale: float) -> dict[str, Any]:
    """One case in both ways, and the ratios before / after."""
    with tempfile.TemporaryDirectory(prefix="score-") as root:
        _child(name, "make", root, scale)
        before, after = (_child(name, way, root, scale) for way in ("before", "after"))
    out: dict[str, Any] = {"case": name, "images": _images(CASES[name], scale), "before": before}
    out |= {"after": after, "identical": before.pop("scores") == after.pop("scores")}
    total = "score_s", "write_s"
    out["time_ratio"] = sum(before[k] for k in total) / sum(after[k] for k in total)
    out["cpu_ratio"] = before["cpu_s"] / after["cpu_s"]
    out["memory_ratio_1_process"] = before["memory_gb"] / after["memory_gb"]
    # As it was, each process held all predictions and scored them; as it is, one does.
    out[f"memory_ratio_{PROCESSES}_processes"] = PROCESSES * before["memory_gb"] / after["memory_gb"]
    return out


def _child(name: str, way: str, root: str, scale: float) -> dict[str, Any]:
    arguments = ["--child", name, way, "--root", root, "--scale", str(scale)]
    command = [sys.executable, "-m", "benchmarks.perf.evaluate", *arguments]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, cwd=ROOT)
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


def child(name: str, way: str, root: Path, scale: float) -> dict[str, Any]:
    """Runs in a process of its own: makes the scene under `root`, or scores it."""
    case = CASES[name]
    return _make(case, root, scale) if way == "make" else _measure(case, way == "before", root)


def _images(case: Case, scale: float) -> int:
    return max(2, int(case.images * scale))


def _make(case: Case, root: Path, scale: float) -> dict[str, Any]:
    from benchmarks.perf.evaluate_scenes import scene, street_scene

    images = _images(case, scale)
    if case.kind == "cityscapes":
        made = street_scene(images, case.per_image, root)
    else:
        objects = max(images, int(case.objects * scale))
        classes = LVIS_CLASSES if case.kind == "lvis" else 0
        made = scene(images, objects, images * case.per_image, "segm", lvis=classes)
    for part, value in zip(("truth", "predictions"), made, strict=True):
        with (root / part).open("wb") as file:
            pickle.dump(value, file, pickle.HIGHEST_PROTOCOL)
    return {}


def _measure(case: Case, before: bool, root: Path) -> dict[str, Any]:
    """Seconds, and gigabytes of predictions and scoring over a process that holds the truth."""
    run, write = _ways(case, before)
    dataset = pickle.loads((root / "truth").read_bytes())
    gc.collect()
    start_gb = _now_gb()
    with (root / "predictions").open("rb") as file:
        predictions = pickle.load(file)
    _forget_peak()
    held_gb = _now_gb() - start_gb
    cpu, clock = time.process_time(), time.perf_counter()
    scores = run(dataset, predictions)
    scored = time.perf_counter()
    write(dataset, predictions, root / f"files-{before}")
    return {
        "score_s": scored - clock,
        "write_s": time.perf_counter() - scored,
        "cpu_s": time.process_time() - cpu,
        "predictions_gb": held_gb,
        "memory_gb": _peak_gb() - start_gb,
        "scores": json.dumps(scores),
    }


def _ways(case: Case, before: bool) -> tuple[Callable[..., Any], Callable[..., None]]:
    from benchmarks.perf import evaluate_before as old
    from transfer.evaluation.coco.lvis import evaluate_lvis
    from transfer.evaluation.coco.metric import evaluate_coco
    from transfer.evaluation.evaluate import evaluate, write_predictions

    if before:
        run = {"coco": old.coco, "lvis": old.lvis, "cityscapes": old.cityscapes}[case.kind]
        write = old.write_masks if case.kind == "cityscapes" else old.write_results
        return lambda d, p: run(d, p, case.before), write
    if case.kind == "cityscapes":
        return evaluate, write_predictions
    one = evaluate_coco if case.kind == "coco" else evaluate_lvis
    return lambda d, p: one(d, p, case.after), write_predictions


def _now_gb() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 1e9


def _forget_peak() -> None:
    """The peak from here on; where the kernel does not forget, reading the predictions is in it."""
    gc.collect()
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def _peak_gb() -> float:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) * 1024 / 1e9
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
