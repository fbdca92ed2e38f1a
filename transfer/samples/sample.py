"""Makes a sample: one image with its truth, as an engine receives it, for detection and for segmentation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from transfer.datasets.images import open_rgb
from transfer.errors import DataError
from transfer.samples.masks_and_keypoints import Shape


@dataclass(frozen=True)
class Sample:
    """One image and N objects; coordinates are pixels of the resized image."""

    image: Tensor  # (3, H, W) uint8 in INPUT.FORMAT order
    boxes: Tensor  # (N, 4) float32 XYXY
    classes: Tensor  # (N,) int64
    image_id: str | int
    height: int  # of the original image
    width: int
    # Truth that only some tasks have; None elsewhere and at test time.
    # N objects: polygons, or run lengths where the record has those
    polygons: Sequence[Shape] | None = None
    keypoints: Tensor | None = None  # (N, K, 3) float32: x, y, visibility 0, 1 or 2
    # N objects, None for one that is not annotated (see `transfer.samples.densepose`)
    densepose: list[dict[str, Tensor] | None] | None = None
    class_map: Tensor | None = None  # (H, W) uint8, classes of semantic segmentation, 255 ignored


def make_sample(record: dict[str, Any], pixels: np.ndarray, channels: str, **truth: Any) -> Sample:
    """The sample of a record's `pixels`, (H, W, 3) uint8 RGB; `channels` is INPUT.FORMAT.

    `truth` holds fields of Sample. Without it the sample has no object, as at test time.
    """
    if channels == "BGR":
        pixels = pixels[:, :, ::-1]
    nothing = {"boxes": torch.zeros(0, 4), "classes": torch.zeros(0, dtype=torch.int64)}
    return Sample(
        image=torch.from_numpy(np.array(pixels.transpose(2, 0, 1), order="C")),
        image_id=record["image_id"],
        height=record["height"],
        width=record["width"],
        **(nothing | truth),
    )


def read_image(record: dict[str, Any]) -> Image.Image:
    """The RGB image, upright; DataError unless it has the size that its record states."""
    name = record["file_name"]
    image = open_rgb(name)
    if (image.height, image.width) != (record["height"], record["width"]):
        raise DataError(
            f"{name}: the image is {image.width}x{image.height}, its annotation says "
            f"{record['width']}x{record['height']}; correct one of them"
        )
    return image


def resized_window(
    image: Image.Image, whole: tuple[int, int], corner: tuple[int, int], size: tuple[int, int]
) -> np.ndarray:
    """(H, W, 3) uint8: of an image resized to `whole` the `size` (H, W) that begins at `corner` (top, left).

    Only what is kept is resized, which is much faster, to the same pixels (+- 1, a few 2) as by cropping.
    """
    y, x = image.height / whole[0], image.width / whole[1]
    (top, left), (height, width) = corner, size
    box = (left * x, top * y, min((left + width) * x, image.width), min((top + height) * y, image.height))
    return np.asarray(image.resize((width, height), Image.Resampling.BILINEAR, box))


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
