"""A user's folder for tests: boxes of three classes on nine images, and a suite of twelve lines."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PIL import Image

SUITE = """\
name: my_cells
recipe:
  _BASE_: coco_c4_1x
  MODEL.MASK_ON: false
  SOLVER.MAX_ITER: 9000
  SOLVER.STEPS: [6000, 8000]
  DATASETS.TRAIN: [cells_train]
  DATASETS.TEST: [cells_val]
datasets:
  cells_train: {format: coco, json: train.json, images: images, tasks: [bbox]}
  cells_val: {format: coco, json: val.json, images: images, tasks: [bbox]}
primary: bbox/AP50
"""


def write_kit(root: Path) -> Path:
    """Makes it; returns the suite's file."""
    (root / "images").mkdir(parents=True)
    categories = [{"id": i, "name": name} for i, name in ((3, "red"), (5, "round"), (9, "odd"))]
    for split, numbers in (("train", range(1, 7)), ("val", range(7, 10))):
        images, annotations = [], []
        for n in numbers:
            name = f"{n:03d}.jpg"
            Image.new("RGB", (80, 64), (20 * n, 90, 40)).save(root / "images" / name)
            images.append({"id": n, "file_name": name, "width": 80, "height": 64})
            for k, category in enumerate((3, 5, 9)):
                box = [4 + 20 * k, 6, 24, 30]
                entry = {"id": 10 * n + k, "image_id": n, "category_id": category, "bbox": box}
                annotations.append(entry | {"area": 720, "iscrowd": 0})
        content = {"images": images, "annotations": annotations, "categories": categories}
        (root / f"{split}.json").write_text(json.dumps(content))
    (root / "my_suite.yaml").write_text(SUITE)
    return root / "my_suite.yaml"


def in_suite(before: str, after: str) -> Callable[[Path], None]:
    """A change of the suite's text."""

    def change(root: Path) -> None:
        assert before in SUITE
        (root / "my_suite.yaml").write_text(SUITE.replace(before, after))

    return change


def in_json(split: str, edit: Callable[[dict[str, Any]], object]) -> Callable[[Path], None]:
    """A change of the content of a JSON."""

    def change(root: Path) -> None:
        path = root / f"{split}.json"
        content = json.loads(path.read_text())
        edit(content)
        path.write_text(json.dumps(content))

    return change
