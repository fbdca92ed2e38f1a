"""From a standard dataset dict to what a detector eats: read, resize the shorter side, flip, move the truth.

The steps and their order are those of Detectron2's default mapper (Pillow's bilinear filter, size rounding,
clipping, which objects are dropped); the random choices are a function of (seed, epoch, index).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import compress
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from yacs.config import CfgNode

from transfer.datasets.images import open_rgb
from transfer.errors import DataError
from transfer.samples.densepose import densepose_targets, load_symmetry
from transfer.samples.masks_and_keypoints import Shape, is_empty, moved_keypoints, moved_masks
from transfer.samples.view import View


@dataclass(frozen=True)
class Sample:
    """One image as an engine receives it; coordinates are pixels of the resized image."""

    image: Tensor  # (3, H, W) uint8 in INPUT.FORMAT order
    boxes: Tensor  # (N, 4) float32 XYXY
    classes: Tensor  # (N,) int64
    image_id: str | int
    height: int  # of the original image
    width: int
    # What only some tasks have; None elsewhere and at test time.
    polygons: Sequence[Shape] | None = None  # N objects: polygons, or run lengths where the record has those
    keypoints: Tensor | None = None  # (N, K, 3) float32: x, y, visibility 0, 1 or 2
    densepose: list[dict[str, Tensor] | None] | None = None  # N; None: not annotated (see `densepose_sample`)
    class_map: Tensor | None = None  # (H, W) uint8, classes of semantic segmentation, 255 ignored


def training_sample(
    record: dict[str, Any], cfg: CfgNode, metadata: dict[str, Any], seed: int, epoch: int, index: int
) -> Sample:
    """The augmented sample of (seed, epoch, index); `metadata` is the training set's."""
    rng = np.random.default_rng([seed, 1, epoch, index])
    sizes = cfg.INPUT.MIN_SIZE_TRAIN
    shorter = int(sizes[rng.integers(len(sizes))])
    flip = cfg.INPUT.RANDOM_FLIP == "horizontal" and rng.random() < 0.5
    size = resized(record["height"], record["width"], shorter, cfg.INPUT.MAX_SIZE_TRAIN)
    view = View((record["height"], record["width"]), size, flip)
    return _sample(record, cfg.INPUT.FORMAT, view, _truth(record, cfg, metadata, view))


def evaluation_sample(record: dict[str, Any], cfg: CfgNode) -> Sample:
    """The deterministic sample at test size; of the truth it has only the boxes."""
    size = resized(record["height"], record["width"], cfg.INPUT.MIN_SIZE_TEST, cfg.INPUT.MAX_SIZE_TEST)
    view = View((record["height"], record["width"]), size, flip=False)
    return _sample(record, cfg.INPUT.FORMAT, view, {})


def resized(height: int, width: int, shorter: int, longest: int) -> tuple[int, int]:
    """(new height, new width) with the shorter side at `shorter` unless the longer would pass `longest`.

    As in Detectron2, `shorter` 0 means: leave the image as it is.
    """
    if shorter == 0:
        return height, width
    scale = shorter / min(height, width)
    new_height, new_width = (shorter, scale * width) if height < width else (scale * height, shorter)
    if max(new_height, new_width) > longest:
        shrink = longest / max(new_height, new_width)
        new_height, new_width = new_height * shrink, new_width * shrink
    return int(new_height + 0.5), int(new_width + 0.5)


def _sample(record: dict[str, Any], channels: str, view: View, truth: dict[str, Any]) -> Sample:
    """The sample of one view; `truth` holds optional fields, one entry per object that is no crowd."""
    image = read_image(record).resize(view.new[::-1], Image.Resampling.BILINEAR)
    pixels = np.asarray(image)  # (H, W, 3) RGB
    if view.flip:
        pixels = pixels[:, ::-1]
    if channels == "BGR":
        pixels = pixels[:, :, ::-1]

    annotations = _objects(record)
    boxes = view.boxes(np.array([a["bbox"] for a in annotations], np.float64))
    classes = np.array([a["category_id"] for a in annotations], np.int64)
    kept = (boxes[:, 2:] - boxes[:, :2] > 1e-5).all(axis=1)
    if "polygons" in truth:
        kept &= np.array([not is_empty(shape) for shape in truth["polygons"]], bool)
    return Sample(
        image=torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1))),
        boxes=torch.from_numpy(boxes[kept].astype(np.float32)),
        classes=torch.from_numpy(classes[kept]),
        image_id=record["image_id"],
        height=record["height"],
        width=record["width"],
        **{name: _only(values, kept) for name, values in truth.items()},
    )


def _truth(record: dict[str, Any], cfg: CfgNode, metadata: dict[str, Any], view: View) -> dict[str, Any]:
    """What the recipe's heads are trained on beside boxes, by field of Sample; a box recipe pays nothing."""
    annotations, source = _objects(record), record["file_name"]
    truth: dict[str, Any] = {}
    if cfg.MODEL.MASK_ON:
        truth["polygons"] = moved_masks(annotations, view, source)
    if cfg.MODEL.KEYPOINT_ON:
        truth["keypoints"] = torch.from_numpy(moved_keypoints(annotations, view, metadata, source))
    if cfg.MODEL.DENSEPOSE_ON:
        symmetry = load_symmetry(metadata["data_root"]) if view.flip else None
        truth["densepose"] = densepose_targets(annotations, symmetry)
    return truth


def _objects(record: dict[str, Any]) -> list[dict[str, Any]]:
    return [a for a in record.get("annotations", ()) if not a.get("iscrowd", 0)]


def _only(values: Any, kept: np.ndarray) -> Any:
    """The entries of a tensor or list where kept (N,) holds."""
    return values[torch.from_numpy(kept)] if isinstance(values, Tensor) else list(compress(values, kept))


def read_image(record: dict[str, Any]) -> Image.Image:
    """The RGB image, upright, of the size that its record states."""
    name = record["file_name"]
    image = open_rgb(name)
    if (image.height, image.width) != (record["height"], record["width"]):
        raise DataError(
            f"{name}: the image is {image.width}x{image.height}, its annotation says "
            f"{record['width']}x{record['height']}; correct one of them"
        )
    return image
