"""From a standard dataset dict to what a detector eats: read, resize the shorter side, flip, scale the boxes.

The steps and their order are those of Detectron2's default mapper (Pillow's bilinear filter, size rounding,
clipping); the random choices are a function of (seed, epoch, index).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor
from yacs.config import CfgNode

from transfer.errors import DataError


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
    polygons: list[list[np.ndarray]] | None = None  # N objects: polygons (2P,) float64 x, y, ...
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
    return _sample(record, cfg.INPUT.FORMAT, shorter, cfg.INPUT.MAX_SIZE_TRAIN, flip)


def evaluation_sample(record: dict[str, Any], cfg: CfgNode) -> Sample:
    """The deterministic sample at test size."""
    return _sample(record, cfg.INPUT.FORMAT, cfg.INPUT.MIN_SIZE_TEST, cfg.INPUT.MAX_SIZE_TEST, False)


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


def _sample(record: dict[str, Any], channels: str, shorter: int, longest: int, flip: bool) -> Sample:
    image = read_image(record)
    height, width = image.height, image.width
    new_height, new_width = resized(height, width, shorter, longest)
    image = image.resize((new_width, new_height), Image.Resampling.BILINEAR)
    pixels = np.asarray(image)  # (H, W, 3) RGB
    if flip:
        pixels = pixels[:, ::-1]
    if channels == "BGR":
        pixels = pixels[:, :, ::-1]

    annotations = [a for a in record.get("annotations", ()) if not a.get("iscrowd", 0)]
    boxes = np.array([a["bbox"] for a in annotations], dtype=np.float64).reshape(-1, 4)
    classes = np.array([a["category_id"] for a in annotations], dtype=np.int64)
    boxes *= np.array([new_width / width, new_height / height] * 2)
    if flip:
        boxes[:, [0, 2]] = new_width - boxes[:, [2, 0]]
    boxes = boxes.clip(0, [new_width, new_height] * 2)
    kept = (boxes[:, 2:] - boxes[:, :2] > 1e-5).all(axis=1)
    return Sample(
        image=torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1))),
        boxes=torch.from_numpy(boxes[kept].astype(np.float32)),
        classes=torch.from_numpy(classes[kept]),
        image_id=record["image_id"],
        height=height,
        width=width,
    )


def read_image(record: dict[str, Any]) -> Image.Image:
    """The RGB image, upright, of the size that its record states."""
    name = record["file_name"]
    try:
        with Image.open(name) as opened:
            image = ImageOps.exif_transpose(opened).convert("RGB")
    except (OSError, SyntaxError, ValueError) as error:
        raise DataError(f"{name}: cannot be decoded ({error}); restore the file") from None
    if (image.height, image.width) != (record["height"], record["width"]):
        raise DataError(
            f"{name}: the image is {image.width}x{image.height}, its annotation says "
            f"{record['width']}x{record['height']}; correct one of them"
        )
    return image
