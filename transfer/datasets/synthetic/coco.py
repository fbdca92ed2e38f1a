"""Generates a COCO folder: images, instances, person keypoints and DensePose, in the real one's file names.

2017 has train and val. 2014's train has the images of 2017's train, its val those of 2017's val, and its
minival and valminusminival are the halves of that.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from transfer.datasets.coco.densepose import COARSE_MASKS, FRAME
from transfer.datasets.coco.names import CATEGORIES, KEYPOINT_NAMES
from transfer.datasets.synthetic.drawing import Drawn, Look, scene
from transfer.datasets.synthetic.person import COARSE_OF
from transfer.datasets.synthetic.texture import Texture

LOOKS = {
    "person": Look("person", None, 2.0, scale=1.5, weight=9),
    "stop sign": Look("diamond", Texture("rings", 0.09), 1.0, weight=4),
    "donut": Look("ring", Texture("dots", 0.09), 1.0, weight=3),
    "tv": Look("box", Texture("bricks", 0.12), 0.7, weight=3),
    "bottle": Look("ellipse", Texture("checks", 0.12, 45.0), 2.0, weight=2),
    "kite": Look("triangle", Texture("stripes", 0.07, 90.0), 0.9, weight=1),
}
CATEGORY_ID = {name: i for i, name in CATEGORIES.items()}
POINTS = 60  # labelled DensePose points a person
JPEG_QUALITY = 90


def frames(
    split: str, *, train_images: int, test_images: int, image_size: int, seed: int
) -> Iterator[tuple[int, Any, list[Drawn], np.random.Generator]]:
    """Yields (image id, image, objects, generator for annotations) of train or val, a function of `seed`."""
    first = 1 if split == "train" else 1_000_001
    for index in range(train_images if split == "train" else test_images):
        rng = np.random.default_rng([seed, 2017, split == "val", index])
        sides = [image_size, int(round(image_size * rng.uniform(0.75, 1.0)))]
        width, height = sides if rng.random() < 0.7 else sides[::-1]
        image, objects = scene(rng, LOOKS, width, height)
        yield first + index, image, objects, rng


def write_coco_folder(folder: Path, **size: int) -> None:
    """Writes train2017, val2017, train2014, val2014 and annotations into `folder`."""
    (folder / "annotations").mkdir(parents=True)
    for split in ("train", "val"):
        documents = {kind: _document(kind) for kind in ("instances", "person_keypoints", "densepose")}
        for year in ("2014", "2017"):
            (folder / f"{split}{year}").mkdir()
        number = 0
        for image_id, image, objects, rng in frames(split, **size):
            name = f"{image_id:012d}.jpg"
            first = folder / f"{split}2017" / name
            image.save(first, quality=JPEG_QUALITY)
            # COCO's 2014 files carry the split in their name; the content is that of 2017.
            (folder / f"{split}2014" / f"COCO_{split}2014_{name}").write_bytes(first.read_bytes())
            entry = {"id": image_id, "file_name": name, "width": image.width, "height": image.height}
            for document in documents.values():
                document["images"].append(entry)
            for drawn in objects:
                number += 1
                annotation = _annotation(drawn, number, image_id)
                documents["instances"]["annotations"].append(annotation)
                if drawn.figure is not None:
                    points = _keypoints(drawn)
                    documents["person_keypoints"]["annotations"].append(annotation | points)
                    documents["densepose"]["annotations"].append(annotation | points | _densepose(drawn, rng))
        for kind, document in documents.items():
            _write_splits(folder / "annotations", kind, split, document)


def _write_splits(folder: Path, kind: str, split: str, document: dict[str, Any]) -> None:
    if kind != "densepose":
        (folder / f"{kind}_{split}2017.json").write_text(json.dumps(document))
    old = [{**i, "file_name": f"COCO_{split}2014_{i['file_name']}"} for i in document["images"]]
    half = (len(old) + 1) // 2
    parts = (
        {"train": old}
        if split == "train"
        else {"val": old, "minival": old[:half], "valminusminival": old[half:]}
    )
    for name, images in parts.items():
        ids = {i["id"] for i in images}
        annotations = [a for a in document["annotations"] if a["image_id"] in ids]
        if kind != "densepose" or name != "val":
            part = {**document, "images": images, "annotations": annotations}
            (folder / f"{kind}_{name}2014.json").write_text(json.dumps(part))


def _document(kind: str) -> dict[str, Any]:
    if kind == "instances":
        categories: list[dict[str, Any]] = [
            {"id": i, "name": n, "supercategory": "thing"} for i, n in CATEGORIES.items()
        ]
    else:
        person = {
            "id": 1,
            "name": "person",
            "supercategory": "person",
            "keypoints": list(KEYPOINT_NAMES),
            "skeleton": [],
        }
        categories = [person]
    return {"info": {"description": "synthetic"}, "images": [], "annotations": [], "categories": categories}


def _annotation(drawn: Drawn, number: int, image_id: int) -> dict[str, Any]:
    x0, y0, x1, y1 = drawn.box()
    return {
        "id": number,
        "image_id": image_id,
        "category_id": CATEGORY_ID[drawn.name],
        "bbox": [x0, y0, x1 - x0, y1 - y0],
        "area": int(drawn.mask.sum()),
        "iscrowd": 0,
        "segmentation": polygons(drawn.mask),
    }


def polygons(mask: np.ndarray) -> list[list[float]]:
    """The exact outline of an (H, W) mask as polygons along pixel borders, one for each run of equal rows."""
    out: list[list[float]] = []
    height = mask.shape[0]
    row = 0
    while row < height:
        edges = np.flatnonzero(np.diff(np.r_[0, mask[row].astype(np.int8), 0]))
        stop = row + 1
        while stop < height and np.array_equal(mask[stop], mask[row]):
            stop += 1
        for a, b in zip(edges[0::2].tolist(), edges[1::2].tolist(), strict=True):
            out.append([float(v) for v in (a, row, b, row, b, stop, a, stop)])
        row = stop
    return out


def _keypoints(drawn: Drawn) -> dict[str, Any]:
    assert drawn.figure is not None
    flat: list[float] = []
    for x, y in drawn.figure.keypoints:
        visible = bool(drawn.mask[int(y), int(x)])
        flat += [int(x), int(y), 2 if visible else 1]
    return {"keypoints": flat, "num_keypoints": len(KEYPOINT_NAMES)}


def _densepose(drawn: Drawn, rng: np.random.Generator) -> dict[str, Any]:
    """Points on the visible body, and the 14 coarse masks, in the 256 x 256 frame of the box."""
    assert drawn.figure is not None
    from pycocotools import mask as rle

    x0, y0, x1, y1 = drawn.box()
    part = np.where(drawn.mask, drawn.figure.part, 0)
    rows, columns = np.nonzero(part)
    chosen = rng.choice(len(rows), min(POINTS, len(rows)), replace=False)
    rows, columns = rows[chosen], columns[chosen]
    u, v = (drawn.figure.uv[k][rows, columns].astype(float).round(4).tolist() for k in (0, 1))
    # The metric takes 255 frame units for a box side and cuts to whole pixels: a pixel's centre stays in it.
    at_x = (columns + 0.5 - x0) / (x1 - x0) * 255.0
    at_y = (rows + 0.5 - y0) / (y1 - y0) * 255.0
    coarse = COARSE_OF[part[y0:y1, x0:x1]]
    grid_y = (np.arange(FRAME) + 0.5) * (y1 - y0) / FRAME
    grid_x = (np.arange(FRAME) + 0.5) * (x1 - x0) / FRAME
    enlarged = coarse[np.ix_(grid_y.astype(int), grid_x.astype(int))]
    masks: list[Any] = []
    for number in range(1, COARSE_MASKS + 1):
        where = enlarged == number
        encoded = rle.encode(np.asfortranarray(where, np.uint8)) if where.any() else None
        masks.append({"size": [FRAME, FRAME], "counts": encoded["counts"].decode()} if encoded else [])
    return {
        "dp_x": at_x.round(3).tolist(),
        "dp_y": at_y.round(3).tolist(),
        "dp_I": part[rows, columns].astype(float).tolist(),
        "dp_U": u,
        "dp_V": v,
        "dp_masks": masks,
    }
