"""Prints how far the engines are apart, detector by detector, live (the table of docs/engines.md):

python -m tests.transfer.engines.differences
"""

from __future__ import annotations

from typing import Any

import numpy as np
from pycocotools import mask as rle

from tests.transfer.engines.golden import detection
from tests.transfer.engines.golden.make import live
from transfer.engines.choose import load_engine


def main() -> None:
    print("| detector | found | boxes, px | scores | masks | keypoints, px | parts | losses | weights |")
    print("|---|---|---|---|---|---|---|---|---|")
    for detector in detection.DETECTORS:
        engine = load_engine("torchvision")
        ours = detection.everything(engine, detector, detection.fixed_torchvision_proposals)
        print(f"| {detector} | {' | '.join(_cells(ours, live(detector)))} |", flush=True)


def _cells(ours: dict[str, Any], theirs: dict[str, Any]) -> list[str]:
    a, b = (_joined(found["detections"]) for found in (ours, theirs))
    losses = [abs(ours["losses"][k] - v) / abs(v) for k, v in theirs["losses"].items()]
    weights = [
        np.linalg.norm(np.subtract(ours["parameters"][k], v)) / max(np.linalg.norm(v), 1e-30)
        for k, v in theirs["parameters"].items()
    ]
    return [
        str(len(b["scores"])),
        _most(a, b, "boxes"),
        _most(a, b, "scores"),
        _unlike(a, b, "masks"),
        _most(a, b, "keypoints"),
        _unlike(a, b, "labels"),
        f"{max(losses):.1e}",
        f"{max(weights):.1e}",
    ]


def _joined(images: list[dict[str, Any]]) -> dict[str, list[Any]]:
    """All images' detections, in an order in which near ties cannot change places."""
    joined: dict[str, list[Any]] = {}
    for image in images:
        order = sorted(range(len(image["scores"])), key=lambda i: (image["classes"][i], image["boxes"][i]))
        for field, values in image.items():
            joined.setdefault(field, []).extend(values[i] for i in order)
    return joined


def _most(a: dict[str, list[Any]], b: dict[str, list[Any]], field: str) -> str:
    if field not in b:
        return "-"
    return f"{np.abs(np.subtract(a[field], b[field])).max():.1e}"


def _unlike(a: dict[str, list[Any]], b: dict[str, list[Any]], field: str) -> str:
    """Share of pixels that differ, over all detections."""
    if field not in b:
        return "-"
    read = rle.decode if field == "masks" else np.array
    pairs = [(read(x), read(y)) for x, y in zip(a[field], b[field], strict=True)]
    return f"{sum((x != y).sum() for x, y in pairs) / sum(x.size for x, _ in pairs):.1e}"


if __name__ == "__main__":
    main()
