"""Classifies the pixels of a large image in windows that overlap, as mmsegmentation and DINOv3 test."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from torch import Tensor

from transfer.engines.class_maps.head import Size

AT_ONCE = 4  # windows that go through the network together; logits of 150 classes are 150 MB a window


def slide(logits_of: Callable[[Tensor], Tensor], image: Tensor, size: Size, stride: Size) -> Tensor:
    """Mean logits (K, H, W) of a normalised image (3, H, W) over all windows that see a pixel.

    logits_of: (N, 3, h, w) -> (N, K, h, w). Windows of `size` lie `stride` apart; the last ones are moved
    back into the image. An image that is smaller than a window is one by itself.
    """
    height, width = (min(window, side) for window, side in zip(size, image.shape[1:], strict=True))
    places = [
        (y, x)
        for y in starts(image.shape[1], height, stride[0])
        for x in starts(image.shape[2], width, stride[1])
    ]
    total: Tensor | None = None
    seen = image.new_zeros(image.shape[1:])
    for some in _parts(places, AT_ONCE):
        logits = logits_of(_stacked(image, some, (height, width)))
        if total is None:
            total = logits.new_zeros(logits.shape[1], *image.shape[1:])
        for (y, x), one in zip(some, logits, strict=True):
            total[:, y : y + height, x : x + width] += one
            seen[y : y + height, x : x + width] += 1
    assert total is not None
    return total / seen


def starts(side: int, window: int, stride: int) -> list[int]:
    """Where windows begin along a side, so that all of it is seen and none goes beyond its end."""
    number = max(-(-(side - window) // stride), 0) + 1
    return [min(i * stride, side - window) for i in range(number)]


def _stacked(image: Tensor, places: list[tuple[int, int]], size: Size) -> Tensor:
    height, width = size
    batch = image.new_empty(len(places), image.shape[0], height, width)
    for row, (y, x) in zip(batch, places, strict=True):
        row.copy_(image[:, y : y + height, x : x + width])
    return batch


def _parts(places: list[tuple[int, int]], number: int) -> Iterator[list[tuple[int, int]]]:
    for start in range(0, len(places), number):
        yield places[start : start + number]
