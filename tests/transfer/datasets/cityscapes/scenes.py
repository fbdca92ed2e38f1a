"""Cityscapes polygons with what the real ones have: occlusion, groups, holes, touching and cut objects."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

WIDTH, HEIGHT = 128, 64
GOLDEN = Path(__file__).parent / "golden" / "polygons.json"


def box(x0: float, y0: float, x1: float, y1: float) -> list[list[float]]:
    return [[x0, y0], [x1, y0], [x1, y1], [x0, y1]]


SCENE = [
    ("road", box(0, 30, 127, 63)),
    ("building", [[-3, 0], [60, -2], [60, 40], [0, 40]]),
    ("car", box(10, 30, 50, 50)),  # a pole cuts it in two, a person covers its lower right corner
    ("car", box(51, 30, 70, 50)),  # touches the first
    ("train", box(75, 5, 120, 45)),  # a bicycle in front leaves a hole in it
    ("bicycle", box(90, 20, 100, 30)),
    ("pole", box(25, 10, 27, 60)),
    ("persongroup", [[100, 40], [126, 40], [113, 60]]),
    ("person", [[45, 40], [55, 40], [50, 62]]),
    ("bus", box(80, 48, 90, 55)),  # wholly hidden
    ("caravan", box(78, 46, 92, 57)),  # hides, but is not judged
    ("rider", [[2, 50], [20, 62], [20, 50], [2, 62]]),  # crosses itself
    ("truck", box(120, -5, 140, 20)),  # leaves the image
    ("license plate", box(12, 44, 18, 47)),
    ("motorcycle", [[60, 55], [60, 55.4], [70.5, 58]]),
    ("sky", box(70, 0, 127, 2)),
]


def write(path: Path, things: list[tuple[str, list[list[float]]]]) -> str:
    objects: list[dict[str, Any]] = [{"label": label, "polygon": points} for label, points in things]
    objects.append({"label": "person", "polygon": box(0, 0, 127, 63), "deleted": 1})
    path.write_text(json.dumps({"imgHeight": HEIGHT, "imgWidth": WIDTH, "objects": objects}))
    return str(path)


def random_scene(seed: int, count: int = 25) -> list[tuple[str, list[list[float]]]]:
    """Star-shaped outlines on whole pixels; every fourth has its points in disorder and crosses itself."""
    rng = np.random.default_rng([seed, 11])
    labels = ["car", "person", "rider", "bicycle", "cargroup", "pole", "vegetation", "trailer", "bus"]
    things = []
    for i in range(count):
        number = int(rng.integers(3, 12))
        angle = np.sort(rng.uniform(0, 2 * np.pi, number))
        radius = rng.uniform(2, 22, number)
        centre = rng.uniform([0, 0], [WIDTH, HEIGHT])
        points = np.stack([np.cos(angle), np.sin(angle)], 1) * radius[:, None] + centre
        points = points.clip(0, [WIDTH - 1, HEIGHT - 1]).round()
        if i % 4 == 3:
            points = rng.permutation(points)
        things.append((labels[int(rng.integers(len(labels)))], points.tolist()))
    return things


def detectron2s(path: str, monkeypatch: Any) -> list[dict[str, Any]]:
    """The annotations of Detectron2's own function, its classes made contiguous as it does."""
    import cityscapesscripts.helpers.labels as labels
    from detectron2.data.datasets.cityscapes import _cityscapes_files_to_dict

    inside = "deeplearning.projects.cityscapesApi.cityscapesscripts.helpers.labels"  # where it looks for them
    parts = inside.split(".")
    for i in range(1, len(parts)):
        monkeypatch.setitem(sys.modules, ".".join(parts[:i]), type(sys)(parts[i - 1]))
    monkeypatch.setitem(sys.modules, inside, labels)
    record = _cityscapes_files_to_dict(("a_leftImg8bit.png", "", "", path), from_json=True, to_polygons=True)
    judged = [label.id for label in labels.labels if label.hasInstances and not label.ignoreInEval]
    return [a | {"category_id": judged.index(a["category_id"])} for a in record["annotations"]]


def facts(annotations: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Numbers that are stored: another geometry library may begin a polygon at another vertex."""
    return [
        {
            "category_id": a["category_id"],
            "iscrowd": int(a["iscrowd"]),
            "bbox": [round(v, 6) for v in a["bbox"]],
            "areas": sorted(round(area(p), 6) for p in a["segmentation"]),
        }
        for a in annotations
    ]


def area(polygon: list[float]) -> float:
    """Of a flat closed ring, by the shoelace formula."""
    x, y = np.reshape(polygon, (-1, 2)).T
    return float(abs(np.dot(x, np.roll(y, 1)) - np.dot(y, np.roll(x, 1))) / 2)
