"""Turns the logits of a head into class maps of images: in windows that overlap, and at their own sizes."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from transfer.engines.class_maps.head import Size, resized
from transfer.engines.class_maps.sliding import slide


def in_windows(backbone: Any, head: Any, image: Tensor, window: tuple[Size, Size]) -> Tensor:
    """Logits (1, K, H, W) of a normalised image (3, H, W); `window` is the size and the stride."""

    def logits_of(windows: Tensor) -> Tensor:
        size = size_of(windows)
        padded = filled(windows, size, backbone.size_divisibility)
        found: Tensor = head.upsampled(head.logits(backbone(padded)), size_of(padded), size)
        return found

    return slide(logits_of, image, *window)[None]


def filled(batch: Tensor, size: Size, unit: int) -> Tensor:
    """Pads normalised images (N, 3, h, w) with zeros to `size`, rounded up to multiples of `unit`."""
    below, right = (
        -(-max(side, there) // unit) * unit - there for side, there in zip(size, size_of(batch), strict=True)
    )
    return F.pad(batch, (0, right, 0, below))


def class_map(logits: Tensor, output: Size) -> Tensor:
    """(1, K, H, W) -> uint8 classes (*output), the size of the original image."""
    return resized(logits, output)[0].argmax(0).to(torch.uint8)


def size_of(batch: Tensor) -> Size:
    """The height and the width of (N, C, H, W)."""
    return batch.shape[2], batch.shape[3]
