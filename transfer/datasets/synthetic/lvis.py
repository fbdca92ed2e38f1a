"""Generates LVIS annotations on the images of the generated COCO folder.

All 1,230 (v0.5) or 1,203 (v1) category ids exist, as models expect them; six are drawn: two frequent, two
common, two rare. Every image lists categories known to be absent; one in ten also one whose labels are
incomplete in that image.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from transfer.datasets.synthetic.coco import LOOKS, frames, polygons

VERSIONS = {"v0.5": 1230, "v1": 1203}
GROUPS = dict(zip(LOOKS, "ffccrr", strict=True))
ID_OF = {name: 100 + 7 * k for k, name in enumerate(LOOKS)}  # anywhere among the ids


def write_lvis_folder(folder: Path, **size: int) -> None:
    """Writes lvis_{v0.5,v1}_{train,val}.json into `folder`."""
    folder.mkdir(parents=True)
    for split in ("train", "val"):
        images: list[dict[str, Any]] = []
        annotations: list[dict[str, Any]] = []
        for image_id, image, objects, rng in frames(split, **size):
            present = {d.name for d in objects}
            absent = [ID_OF[n] for n in LOOKS if n not in present]
            negative = sorted(int(v) for v in rng.permutation(absent)[: max(1, len(absent) - 1)])
            unsure = [ID_OF[sorted(present)[0]]] if rng.random() < 0.1 else []
            images.append(
                {
                    "id": image_id,
                    "width": image.width,
                    "height": image.height,
                    "file_name": f"{image_id:012d}.jpg",
                    "coco_url": f"http://images.cocodataset.org/{split}2017/{image_id:012d}.jpg",
                    "neg_category_ids": negative,
                    "not_exhaustive_category_ids": unsure,
                }
            )
            for drawn in objects:
                annotations.append(
                    _annotation(drawn.name, drawn.mask, drawn.box(), len(annotations) + 1, image_id)
                )
        for version, count in VERSIONS.items():
            document = {"images": images, "annotations": annotations, "categories": _categories(count)}
            (folder / f"lvis_{version}_{split}.json").write_text(json.dumps(document))


def _categories(count: int) -> list[dict[str, Any]]:
    drawn = {i: name for name, i in ID_OF.items()}
    return [
        {
            "id": i,
            "name": drawn.get(i, f"unseen_{i}").replace(" ", "_"),
            "synonyms": [drawn.get(i, f"unseen_{i}").replace(" ", "_")],
            "frequency": GROUPS[drawn[i]] if i in drawn else "rcf"[i % 3],
        }
        for i in range(1, count + 1)
    ]


def _annotation(
    name: str, mask: np.ndarray, box: tuple[int, int, int, int], number: int, image_id: int
) -> dict[str, Any]:
    x0, y0, x1, y1 = box
    return {
        "id": number,
        "image_id": image_id,
        "category_id": ID_OF[name],
        "bbox": [x0, y0, x1 - x0, y1 - y0],
        "area": int(mask.sum()),
        "segmentation": polygons(mask),
    }
