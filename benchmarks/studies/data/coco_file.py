"""Writes pictures as a suite takes them: JPEG at the study's size, one COCO-format JSON a split."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.studies.data.picture import Picture, Thing, shrunk

LEAST = 1.0  # pixels of a box's side at the study's size; what is smaller cannot be seen


@dataclass(frozen=True)
class Form:
    """How images are saved: the most pixels of the longer side, and the quality of the JPEG.

    From 90 on colour is kept at full resolution; below, at half, as most JPEG files have it.
    """

    long_side: int = 224
    quality: int = 95

    def __str__(self) -> str:
        return f"at most {self.long_side} pixels long, saved once as JPEG of quality {self.quality}"


def write_pictures(
    splits: Mapping[str, Sequence[Picture]],
    classes: Sequence[str],
    form: Form,
    info: Mapping[str, Any],
    folder: Path,
) -> None:
    """Writes `images/` and `<split>.json` into a folder; a picture of several splits is written once."""
    (folder / "images").mkdir(parents=True)
    unique = {picture.name: picture for pictures in splits.values() for picture in pictures}
    entries = {picture.name: _entry(picture, form, folder) for picture in _watched(unique.values())}
    categories = [{"id": n, "name": name} for n, name in enumerate(classes, 1)]
    for split, pictures in splits.items():
        images, annotations = [], []
        for number, picture in enumerate(pictures, 1):
            image, objects = entries[picture.name]
            images.append({"id": number} | image)
            annotations += [{"image_id": number} | one for one in objects]
        numbered = [{"id": number} | one for number, one in enumerate(annotations, 1)]
        content = {"info": {**info, "split": split}, "categories": categories, "images": images}
        text = json.dumps(content | {"annotations": numbered})
        (folder / f"{split}.json").write_text(text, encoding="utf-8")


def _watched(pictures: Iterable[Picture]) -> Iterable[Picture]:
    """The pictures, with a bar and the time that is left on standard error."""
    from rich.console import Console
    from rich.progress import track

    pictures = list(pictures)
    return track(pictures, "  images", console=Console(stderr=True), transient=True)


def _entry(picture: Picture, form: Form, folder: Path) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Writes one image; returns its entry in the JSON and those of its objects, without ids."""
    from PIL.Image import Resampling

    size = shrunk(picture.size, form.long_side)
    image = picture.load()
    if image.size != size:
        image = image.resize(size, Resampling.LANCZOS)
    name = f"{picture.name}.jpg"
    image.save(folder / "images" / name, quality=form.quality, subsampling=0 if form.quality >= 90 else 2)
    objects = _masked(picture, size) if picture.instances else _boxed(picture, size)
    return {"file_name": name, "width": size[0], "height": size[1]}, objects


def _boxed(picture: Picture, size: tuple[int, int]) -> list[dict[str, Any]]:
    scale = np.array(size * 2) / np.array(picture.size * 2)
    found = []
    for thing in picture.things:
        x, y, w, h = np.array(thing.box) * scale
        x1, y1 = min(x + w, size[0]), min(y + h, size[1])
        x, y = max(x, 0.0), max(y, 0.0)
        if min(x1 - x, y1 - y) >= LEAST:
            found.append(_object(thing, (x, y, x1 - x, y1 - y), (x1 - x) * (y1 - y)))
    return found


def _masked(picture: Picture, size: tuple[int, int]) -> list[dict[str, Any]]:
    """Objects by the instance map at the study's size: nearest pixels, so that no two objects mix."""
    from PIL import Image
    from pycocotools import mask as rle

    assert picture.instances is not None
    with Image.open(picture.instances) as image:
        instances = np.asarray(image.resize(size, Image.Resampling.NEAREST))
    found = []
    for thing in picture.things:
        mask = instances == thing.value
        if not mask.any():
            continue
        (y0, x0), (y1, x1) = (edge(np.argwhere(mask), 0) for edge in (np.min, np.max))
        box = (float(x0), float(y0), float(x1 - x0 + 1), float(y1 - y0 + 1))
        encoded = rle.encode(np.asfortranarray(mask.astype(np.uint8)))
        segmentation = {"size": encoded["size"], "counts": encoded["counts"].decode()}
        found.append(_object(thing, box, float(mask.sum())) | {"segmentation": segmentation})
    return found


def _object(thing: Thing, box: tuple[float, float, float, float], area: float) -> dict[str, Any]:
    rounded = [round(float(value), 2) for value in box]
    return {
        "category_id": thing.category,
        "bbox": rounded,
        "area": round(float(area), 2),
        "iscrowd": int(thing.crowd),
    }
