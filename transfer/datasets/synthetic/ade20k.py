"""Generates an ADE20K folder: drawn objects of four classes in front of a wall, in the real set's layout.

A border between two classes is not judged (0), as unlabelled pixels of the real set are not.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from transfer.datasets.ade20k import CLASSES, SPLITS
from transfer.datasets.synthetic.drawing import Drawn, Look, scene
from transfer.datasets.synthetic.texture import Texture

GROUND = "wall"
LOOKS = {
    "tent": Look("triangle", Texture("stripes", 0.07, 90.0), 0.9),
    "vase": Look("ellipse", Texture("checks", 0.12, 45.0), 1.9),
    "clock": Look("ring", Texture("dots", 0.09), 1.0),
    "box": Look("box", Texture("bricks", 0.12), 0.75),
}
JPEG_QUALITY = 90


def write_ade20k_folder(
    folder: Path, *, train_images: int, test_images: int, image_size: int, seed: int
) -> None:
    """Writes images and annotations of training and validation; the longer side has `image_size` pixels."""
    for code, (split, count) in enumerate((("train", train_images), ("val", test_images))):
        images, masks = (folder / kind / SPLITS[split] for kind in ("images", "annotations"))
        for place in (images, masks):
            place.mkdir(parents=True)
        for index in range(count):
            rng = np.random.default_rng([seed, 2017, code, index])
            sides = [image_size, int(round(image_size * rng.uniform(0.75, 1.0)))]
            width, height = sides if rng.random() < 0.7 else sides[::-1]
            image, objects = scene(rng, LOOKS, width, height)
            image_id = f"ADE_{split}_{index + 1:08d}"
            image.save(images / f"{image_id}.jpg", quality=JPEG_QUALITY)
            Image.fromarray(_annotation(objects, width, height)).save(masks / f"{image_id}.png")


def _annotation(objects: list[Drawn], width: int, height: int) -> np.ndarray:
    """(H, W) uint8: class plus one, and 0 along the borders."""
    found = np.full((height, width), 1 + CLASSES.index(GROUND), np.uint8)
    for drawn in objects:
        found[drawn.mask] = 1 + CLASSES.index(drawn.name)
    return np.where(_borders(found), np.uint8(0), found)


def _borders(classes: np.ndarray) -> np.ndarray:
    """(H, W) bool: where a pixel differs from the one above it or on its left."""
    border = np.zeros(classes.shape, bool)
    border[:, 1:] |= classes[:, 1:] != classes[:, :-1]
    border[1:] |= classes[1:] != classes[:-1]
    return border
