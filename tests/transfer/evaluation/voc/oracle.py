"""VOC AP written a second time, slowly and from the definition: one detection after another, no arrays."""

from __future__ import annotations

import math


def _iou(a: list[float], b: list[float]) -> float:
    w = min(a[2], b[2]) - max(a[0], b[0])
    h = min(a[3], b[3]) - max(a[1], b[1])
    if w <= 0 or h <= 0:
        return 0.0
    union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - w * h
    return w * h / union


def class_ap(dataset, predictions, cls: int, threshold: float, eleven: bool) -> float:
    """AP in percent of one class at one IoU threshold; NaN without ground truth."""
    truth = {r["image_id"]: [a for a in r["annotations"] if a["category_id"] == cls] for r in dataset.records}
    positives = sum(not a["difficult"] for boxes in truth.values() for a in boxes)
    if positives == 0:
        return math.nan
    found = []
    for p in predictions:
        for box, score, c in zip(p.boxes.tolist(), p.scores.tolist(), p.classes.tolist(), strict=True):
            if c == cls:
                found.append((score, p.image_id, box))
    found.sort(key=lambda d: -d[0])  # Python's sort is stable
    taken: set[tuple] = set()
    hits = misses = 0
    curve = []  # (recall, precision) after each detection
    for _, image, box in found:
        best, which = -1.0, None
        for index, a in enumerate(truth[image]):
            overlap = _iou(box, a["bbox"])
            if overlap > best:
                best, which = overlap, index
        if best > threshold:
            if not truth[image][which]["difficult"]:
                if (image, which) in taken:
                    misses += 1
                else:
                    taken.add((image, which))
                    hits += 1
        else:
            misses += 1
        curve.append((hits, hits / max(hits + misses, 1)))
    if eleven:
        points, t = [], 0.0
        for i in range(11):
            t = i * 0.1
            points.append(max([p for h, p in curve if h / positives >= t], default=0.0))
        return 100.0 * (math.fsum(points) / 11)
    steps = [max(p for h, p in curve if h >= level) for level in range(1, hits + 1)]
    return 100.0 * (math.fsum(steps) / positives)


def evaluate(dataset, predictions, eleven: bool) -> dict[str, float]:
    """AP, AP50 and AP75, classes without ground truth left out."""
    classes = range(len(dataset.metadata["thing_classes"]))
    means = []
    for t in range(50, 100, 5):
        aps = [class_ap(dataset, predictions, c, t / 100.0, eleven) for c in classes]
        aps = [a for a in aps if not math.isnan(a)]
        means.append(math.fsum(aps) / len(aps))
    return {"AP": math.fsum(means) / len(means), "AP50": means[0], "AP75": means[5]}
