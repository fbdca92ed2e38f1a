"""Extracts features of a set of images from a frozen encoder."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor, nn

from pretrain.images.augment_device import normalise
from pretrain.images.augment_host import resized_crop
from pretrain.images.decode import Pixels
from pretrain.images.threads import image_threads
from pretrain.networks.encoders import pooled_features


def centre_crop(pixels: np.ndarray, size: int) -> np.ndarray:
    """The published test transform of uint8 HxWx3.

    It resizes the shorter side to size * 256/224 and takes the central size x size. Here the same square is
    cut before the resize, which is one pass instead of two.
    """
    height, width = pixels.shape[:2]
    side = max(1, round(min(height, width) * 224 / 256))
    return resized_crop(pixels, ((height - side) // 2, (width - side) // 2, side, side), size)


def image_batches(pixels: Pixels, size: int, batch_size: int, workers: int) -> Iterator[Tensor]:
    """Centre crops of all images, in their order, as uint8 NxSxSx3."""
    count = len(pixels.images)

    def prepare(first: int) -> Tensor:
        rows = range(first, min(first + batch_size, count))
        return torch.from_numpy(np.stack([centre_crop(pixels[i], size) for i in rows]))

    with image_threads(workers, "features") as pool:
        yield from pool.map(prepare, range(0, count, batch_size))


def extract(
    encoder: nn.Module,
    pixels: Pixels,
    *,
    image_size: int,
    device: torch.device,
    batch_size: int = 256,
    workers: int = 2,
    done: Callable[[int], None] = lambda count: None,
) -> Tensor:
    """Pooled features MxF (float32, CPU) of all images, in the mode in which the encoder is.

    `done` is told after each batch how many images it had, and may raise to end the work.
    """
    parts = []
    with torch.inference_mode():
        for images in image_batches(pixels, image_size, batch_size, workers):
            parts.append(pooled_features(encoder, normalise(images.to(device))).float().cpu())
            done(len(images))
    return torch.cat(parts)
