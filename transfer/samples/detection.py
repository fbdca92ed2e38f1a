"""Makes a detector's sample of a standard dataset dict: read, resize, flip, jitter or crop, move the truth.

The steps and their order are those of Detectron2's default mapper (Pillow's bilinear filter, size rounding,
clipping, which objects are dropped); the random choices are a function of (seed, epoch, index).
"""

from __future__ import annotations

from itertools import compress
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from yacs.config import CfgNode

from transfer.process.draws import augmentation_generator
from transfer.samples import jitter, resize_crop
from transfer.samples.densepose import densepose_targets, load_symmetry
from transfer.samples.masks_and_keypoints import Annotation, is_empty, moved_keypoints, moved_masks
from transfer.samples.sample import Sample, make_sample, read_image, resized
from transfer.samples.view import View


def training_sample(
    record: dict[str, Any], cfg: CfgNode, metadata: dict[str, Any], seed: int, epoch: int, index: int
) -> Sample:
    """The augmented sample of (seed, epoch, index); `metadata` is the training set's.

    Crowds are left out, and objects of which the view shows nothing. DataError names an image that cannot be
    read, or an object that lacks what a head of the recipe is trained on.
    """
    view = _drawn_view(record, cfg, augmentation_generator(seed, epoch, index))
    objects = [a for a in record.get("annotations", ()) if not a.get("iscrowd", 0)]
    truth = _visible(_truth(objects, cfg, metadata, view, record["file_name"]))
    return make_sample(record, _pixels(record, view), cfg.INPUT.FORMAT, **truth)


def evaluation_sample(record: dict[str, Any], cfg: CfgNode) -> Sample:
    """The deterministic sample at test size, without truth."""
    view = _view(record, cfg.INPUT.MIN_SIZE_TEST, cfg.INPUT.MAX_SIZE_TEST, flipped=False)
    return make_sample(record, _pixels(record, view), cfg.INPUT.FORMAT)


def _drawn_view(record: dict[str, Any], cfg: CfgNode, rng: np.random.Generator) -> View:
    if jitter.is_jittered(cfg):
        return jitter.draw_view((record["height"], record["width"]), cfg, rng)
    if resize_crop.is_cropped(cfg):
        return resize_crop.draw_view((record["height"], record["width"]), cfg, rng)
    sizes = cfg.INPUT.MIN_SIZE_TRAIN
    shorter = int(sizes[rng.integers(len(sizes))])
    flipped = cfg.INPUT.RANDOM_FLIP == "horizontal" and rng.random() < 0.5
    return _view(record, shorter, cfg.INPUT.MAX_SIZE_TRAIN, flipped)


def _view(record: dict[str, Any], shorter: int, longest: int, flipped: bool) -> View:
    old = record["height"], record["width"]
    return View(old, resized(*old, shorter, longest), flipped)


def _pixels(record: dict[str, Any], view: View) -> np.ndarray:
    """(H, W, 3) uint8 RGB of the view."""
    if view.window is not None:
        return jitter.window_pixels(read_image(record), view)
    pixels = np.asarray(read_image(record).resize(view.new[::-1], Image.Resampling.BILINEAR))
    return pixels[:, ::-1] if view.flipped else pixels


def _truth(
    objects: list[Annotation], cfg: CfgNode, metadata: dict[str, Any], view: View, source: str
) -> dict[str, Any]:
    """Fields of Sample, one entry an object; of those that only some heads need, what the recipe trains."""
    truth: dict[str, Any] = {
        "boxes": torch.from_numpy(view.boxes(np.array([a["bbox"] for a in objects], np.float64))),
        "classes": torch.from_numpy(np.array([a["category_id"] for a in objects], np.int64)),
    }
    if cfg.MODEL.MASK_ON:
        truth["polygons"] = moved_masks(objects, view, source)
        if view.window is not None:
            truth["polygons"] = jitter.cut(truth["polygons"], view.new)
        if jitter.is_jittered(cfg):  # the boxes of DETR's augmentation are clipped alone
            truth["boxes"] = torch.from_numpy(jitter.outer_boxes(truth["polygons"]))
    if cfg.MODEL.KEYPOINT_ON:
        truth["keypoints"] = torch.from_numpy(moved_keypoints(objects, view, metadata, source))
    if cfg.MODEL.DENSEPOSE_ON:
        symmetry = load_symmetry(metadata["data_root"]) if view.flipped else None
        truth["densepose"] = densepose_targets(objects, symmetry)
    return truth


def _visible(truth: dict[str, Any]) -> dict[str, Any]:
    """The same fields without the objects that have no box or no mask in the view."""
    boxes = truth["boxes"]
    kept = (boxes[:, 2:] - boxes[:, :2] > 1e-5).all(dim=1)
    if "polygons" in truth:
        kept &= torch.tensor([not is_empty(shape) for shape in truth["polygons"]], dtype=torch.bool)
    left = {name: _only(values, kept) for name, values in truth.items()}
    return left | {"boxes": left["boxes"].float()}


def _only(values: Any, kept: Tensor) -> Any:
    """The entries of a tensor or list where kept, (N,) bool, holds."""
    return values[kept] if isinstance(values, Tensor) else list(compress(values, kept))
