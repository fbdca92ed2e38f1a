"""Generates a Cityscapes folder: street-like scenes drawn from polygons, with 19 classes and ignored regions.

Every scene has sky, buildings, road and the bonnet of the ego vehicle (not judged); other classes come and
go. Polygons, instance ids and label ids are written in Cityscapes' own folders and file names.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from transfer.datasets.cityscapes.labels import INSTANCES, NAMES
from transfer.datasets.cityscapes.polygons import draw_polygons
from transfer.datasets.synthetic.texture import Texture, fill, finish

CITIES = {"train": ("aachen", "bochum"), "val": ("frankfurt", "lindau")}
_SHAPES = {  # width and height over the height of the image
    "person": (0.12, 0.34), "rider": (0.14, 0.3), "car": (0.42, 0.26), "truck": (0.5, 0.42),
    "bus": (0.55, 0.46), "train": (0.7, 0.4), "motorcycle": (0.26, 0.2), "bicycle": (0.24, 0.18),
}  # fmt: skip
# Of each of the 19 classes; periods are shares of the image's height.
TEXTURES = {
    "road": Texture("clouds", 0.08), "sidewalk": Texture("checks", 0.12), "building": Texture("bricks", 0.1),
    "wall": Texture("bricks", 0.2), "fence": Texture("stripes", 0.1, 45.0), "pole": Texture("plain", 0.1),
    "traffic light": Texture("dots", 0.08), "traffic sign": Texture("rings", 0.15),
    "vegetation": Texture("clouds", 0.2), "terrain": Texture("waves", 0.09, 90.0),
    "sky": Texture("clouds", 0.9), "person": Texture("stripes", 0.09, 90.0),
    "rider": Texture("checks", 0.1, 45.0), "car": Texture("stripes", 0.16), "truck": Texture("dots", 0.12),
    "bus": Texture("stripes", 0.18, 90.0), "train": Texture("waves", 0.12),
    "motorcycle": Texture("rings", 0.09), "bicycle": Texture("stripes", 0.08),
}  # fmt: skip
_OTHER = Texture("plain", 0.1)
_STUFF = ("wall", "fence", "pole", "traffic light", "traffic sign", "vegetation", "terrain", "sidewalk")


def write_cityscapes_folder(
    folder: Path, *, train_images: int, test_images: int, image_size: int, seed: int
) -> None:
    """Writes leftImg8bit and gtFine with train and val; images are `image_size` wide and half as high."""
    for code, (split, count) in enumerate((("train", train_images), ("val", test_images))):
        for index in range(count):
            rng = np.random.default_rng([seed, 2016, code, index])
            city = CITIES[split][index % 2]
            stem = f"{city}_{index:06d}_000019"
            image, truth = (folder / kind / split / city for kind in ("leftImg8bit", "gtFine"))
            image.mkdir(parents=True, exist_ok=True)
            truth.mkdir(parents=True, exist_ok=True)
            width, height = image_size, image_size // 2
            document = {"imgHeight": height, "imgWidth": width, "objects": _objects(rng, width, height)}
            path = truth / f"{stem}_gtFine_polygons.json"
            path.write_text(json.dumps(document))
            labels = draw_polygons(str(path), numbered=False)
            numbered = draw_polygons(str(path), numbered=True)
            Image.fromarray(labels.astype(np.uint8)).save(truth / f"{stem}_gtFine_labelIds.png")
            Image.fromarray(numbered.astype(np.uint16)).save(truth / f"{stem}_gtFine_instanceIds.png")
            _paint(rng, labels, numbered).save(image / f"{stem}_leftImg8bit.png")


def _objects(rng: np.random.Generator, width: int, height: int) -> list[dict[str, Any]]:
    horizon, kerb = rng.uniform(0.3, 0.42) * height, rng.uniform(0.58, 0.68) * height
    things = [
        _box("sky", 0, 0, width, horizon + 2),
        _box("building", 0, horizon - rng.uniform(0.1, 0.2) * height, width, kerb),
        _box("road", 0, kerb, width, height),
    ]
    for name in _STUFF:
        if rng.random() < 0.55:
            things.append(_stuff(rng, name, width, height, horizon, kerb))
    for _ in range(int(rng.integers(2, 6))):
        name = list(INSTANCES)[int(rng.integers(len(INSTANCES)))]
        w, h = (v * height * rng.uniform(0.8, 1.2) for v in _SHAPES[name])
        x, foot = rng.uniform(0, max(width - w, 1)), rng.uniform(0.75, 0.95) * height
        group = "group" if rng.random() < 0.08 else ""
        things.append(_outline(name, group, x, foot - h, w, h))
    if rng.random() < 0.5:
        x = rng.uniform(0, 0.9) * width
        things.append(_box("static", x, kerb - 0.06 * height, x + 0.08 * width, kerb + 0.04 * height))
    things.append(_box("ego vehicle", 0.2 * width, 0.95 * height, 0.8 * width, height))
    return things


def _box(label: str, x0: float, y0: float, x1: float, y1: float) -> dict[str, Any]:
    a, b, c, d = (round(v) for v in (x0, y0, x1 - 1, y1 - 1))
    return {"label": label, "polygon": [[a, b], [c, b], [c, d], [a, d]]}


def _stuff(
    rng: np.random.Generator, name: str, width: int, height: int, horizon: float, kerb: float
) -> dict[str, Any]:
    x = rng.uniform(0, 0.8) * width
    if name == "pole":
        return _box(name, x, horizon - 0.2 * height, x + 0.04 * width, kerb + 0.1 * height)
    if name in ("traffic light", "traffic sign"):
        y = horizon - rng.uniform(0.05, 0.2) * height
        return _box(name, x, y, x + 0.08 * width, y + (0.2 if name == "traffic light" else 0.14) * height)
    if name == "sidewalk":
        return _box(name, 0, kerb, rng.uniform(0.15, 0.35) * width, height)
    if name == "terrain":
        return _box(name, rng.uniform(0.6, 0.8) * width, kerb, width, kerb + 0.2 * height)
    top = horizon if name == "vegetation" else kerb - 0.16 * height
    return _box(name, x, top, x + rng.uniform(0.15, 0.3) * width, kerb)


def _outline(name: str, group: str, x: float, y: float, w: float, h: float) -> dict[str, Any]:
    """Cars and the like have a cabin, people a head: the silhouette tells them apart as the texture does."""
    if name in ("person", "rider"):
        half = [(0.7, 0), (0.7, 0.2), (1, 0.3), (0.8, 0.6), (0.8, 1)]
        unit = [(0.3, 0), *half, (0.2, 1), (0.2, 0.6), (0, 0.3), (0.3, 0.2)]
    elif name in ("bus", "train", "truck"):
        unit = [(0, 0), (1, 0), (1, 1), (0, 1)]
    else:
        unit = [(0, 0.5), (0.2, 0.45), (0.3, 0), (0.75, 0), (0.85, 0.45), (1, 0.5), (1, 1), (0, 1)]
    return {"label": name + group, "polygon": [[round(x + u * w), round(y + v * h)] for u, v in unit]}


def _paint(rng: np.random.Generator, labels: np.ndarray, numbered: np.ndarray) -> Image.Image:
    """Draws the texture of its class for each instance or stretch of stuff, in colours of its own."""
    height, width = labels.shape
    pixels = np.zeros((height, width, 3))
    for value in np.unique(numbered):
        region = numbered == value
        rows, columns = np.flatnonzero(region.any(1)), np.flatnonzero(region.any(0))
        window = (slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1))
        inside = region[window]
        texture = TEXTURES.get(NAMES[int(labels[region][0])], _OTHER)
        filled = fill(rng, texture, inside.shape[1], inside.shape[0], height, inside)
        pixels[window][inside] = filled[inside]
    return finish(rng, pixels)
