"""Jitters the scale of a detector's image and cuts a window out: large-scale jitter (Ghiasi et al. 2021).

The steps are those of Detectron2's recipes (`ResizeScale`, `FixedSizeCrop`): a ratio from INPUT.SCALE_RANGE
times INPUT.CROP.SIZE is the box into which the image is fitted, and one number says where the window lies in
both directions. A smaller image stays as it is; the engine fills the rest with zeros after normalisation.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image
from yacs.config import CfgNode

from transfer.samples.masks_and_keypoints import Shape
from transfer.samples.sample import resized_window
from transfer.samples.view import Size, View


def is_jittered(cfg: CfgNode) -> bool:
    """Tells whether a detector's recipe cuts windows out of images of any scale."""
    return bool(cfg.INPUT.CROP.ENABLED) and cfg.INPUT.CROP.TYPE == "absolute"


def draw_view(old: Size, cfg: CfgNode, rng: np.random.Generator) -> View:
    """Draws the view of an image of size `old`: flip, then ratio, then place of the window."""
    flipped = cfg.INPUT.RANDOM_FLIP == "horizontal" and rng.random() < 0.5
    ratio, place = rng.uniform(*cfg.INPUT.SCALE_RANGE), rng.random()
    return jittered_view(old, tuple(map(int, cfg.INPUT.CROP.SIZE)), flipped, ratio, place)


def jittered_view(old: Size, target: tuple[int, ...], flipped: bool, ratio: float, place: float) -> View:
    """Returns the view for given draws; `target` is (height, width), `place` lies in [0, 1)."""
    scale = min(side * ratio / was for side, was in zip(target, old, strict=True))
    whole = max(round(old[0] * scale), 1), max(round(old[1] * scale), 1)
    top, left = (round(max(w - side, 0) * place) for w, side in zip(whole, target, strict=True))
    new = min(whole[0], target[0]), min(whole[1], target[1])
    return View(old, new, flipped, whole, (top, left))


def window_pixels(image: Image.Image, view: View) -> np.ndarray:
    """(H, W, 3) uint8 RGB of a view with a window."""
    assert view.whole is not None
    assert view.window is not None
    if view.flipped:
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    pixels = resized_window(image, view.whole, view.window, view.part or view.new)
    if view.part is None:
        return pixels
    return np.asarray(Image.fromarray(pixels).resize(view.new[::-1], Image.Resampling.BILINEAR))


def cut(shapes: Sequence[Shape], size: Size) -> list[Shape]:
    """Cuts polygons of the whole image down to the window; run lengths are of the window already."""
    from shapely import box

    frame = box(0, 0, size[1], size[0])
    return [_cut(shape, frame) if isinstance(shape, list) else shape for shape in shapes]


def _cut(polygons: list[np.ndarray], frame: Any) -> list[np.ndarray]:
    """The outer rings of what is left of an object's polygons; pieces without area are none."""
    from shapely import Polygon

    left = []
    for points in polygons:
        part = Polygon(points.reshape(-1, 2)).buffer(0).intersection(frame)
        rings = [p for p in getattr(part, "geoms", [part]) if p.geom_type == "Polygon" and not p.is_empty]
        left += [np.asarray(ring.exterior.coords)[:-1].ravel() for ring in rings]
    return left


def outer_boxes(shapes: Sequence[Shape]) -> np.ndarray:
    """(N, 4) float64 XYXY around the shapes; one that is empty has no area.

    What a window leaves of an object fills less than the window leaves of its box.
    """
    return np.array([_around(shape) for shape in shapes], np.float64).reshape(-1, 4)


def _around(shape: Shape) -> list[float]:
    if isinstance(shape, list):
        points = np.concatenate(shape).reshape(-1, 2) if shape else np.zeros((1, 2))
        return [*points.min(axis=0), *points.max(axis=0)]
    from pycocotools import mask

    x, y, width, height = mask.toBbox(shape)
    return [x, y, x + width, y + height]
