"""Makes batches of augmented views ahead of time, by threads on which no number depends."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from pretrain.images.augment_device import augment as augment_on_device
from pretrain.images.augment_device import normalise
from pretrain.images.augment_host import augment, resize_into
from pretrain.images.decode import Pixels
from pretrain.images.draws import View, Views, draw_views, sample_order
from pretrain.images.recipes import RECIPES
from pretrain.images.threads import image_threads
from pretrain.process import distributed

CHUNK = 8  # images a task: enough for a cheap hand-over, few enough to occupy all threads


@dataclass(frozen=True)
class Loading:
    """The means by which batches are made; which images and views are in them does not depend on it."""

    workers: int  # threads
    colour_on_host: bool  # False: colour steps and flip are left to `Batch.images`, on its device
    pin: bool = False  # page-locked memory, from which a GPU copies without a wait
    ahead: int = 3  # batches in front of the consumer


@dataclass
class Crops:
    """The views of a batch that one `Views` asked for."""

    pixels: Tensor  # uint8 VxNxSxSx3: V views of N images
    drawn: list[list[View]]  # V lists of N
    steps: tuple[str, ...]  # colour steps of the recipe


@dataclass
class Batch:
    """One process's share of a step: N of the images of all processes."""

    crops: list[Crops]  # one for each `Views` asked for
    index: Tensor  # int64 N: image numbers
    colour_on_host: bool  # whether colour steps and flip are done already

    def images(self, device: torch.device) -> list[Tensor]:
        """All views on `device`, augmented and normalised, each Nx3xSxS, in the order they were asked for."""
        return [view for crops in self.crops for view in self._images(crops, device)]

    def _images(self, crops: Crops, device: torch.device) -> tuple[Tensor, ...]:
        # All views of one size in one go: fewer launches.
        moved = crops.pixels.to(device, non_blocking=True).flatten(0, 1)
        if not self.colour_on_host:
            moved = augment_on_device(moved, [view for views in crops.drawn for view in views], crops.steps)
        return normalise(moved).chunk(len(crops.drawn))


def batches(
    pixels: Pixels,
    views: Sequence[Views],
    *,
    seed: int,
    batch_size: int,
    first: int,
    last: int,
    loading: Loading,
) -> Generator[Batch, None, None]:
    """Yields the batches of iterations first..last-1; `batch_size` is that of all processes together.

    Every epoch visits the images in a new order and drops its incomplete last batch.
    """
    per_epoch = len(pixels.images) // batch_size
    rows = distributed.my_slice(batch_size)
    order_of, order = -1, np.empty(0, np.int64)
    with image_threads(loading.workers, "images") as pool:
        waiting: deque[_Making] = deque()
        try:
            for iteration in range(first, last + loading.ahead):
                if iteration < last:
                    epoch, place = divmod(iteration, per_epoch)
                    if order_of != epoch:
                        order_of, order = epoch, sample_order(seed, epoch, len(pixels.images))
                    mine = order[place * batch_size : (place + 1) * batch_size][rows]
                    waiting.append(_Making(pixels, views, seed, epoch, mine, loading))
                    waiting[-1].start(pool)
                if iteration - first >= loading.ahead and waiting:
                    yield waiting.popleft().batch()
        finally:
            for making in waiting:
                making.cancel()


class _Making:
    """One batch while threads fill it."""

    def __init__(
        self,
        pixels: Pixels,
        views: Sequence[Views],
        seed: int,
        epoch: int,
        numbers: np.ndarray,  # int64 N: images
        loading: Loading,
    ) -> None:
        self._pixels, self._views, self._draw = pixels, views, (seed, epoch)
        self._numbers, self._colour = numbers, loading.colour_on_host
        self._recipes = [RECIPES[asked.recipe] for asked in views for _ in range(asked.count)]
        self._out = [
            torch.empty(
                (asked.count, len(numbers), asked.size, asked.size, 3),
                dtype=torch.uint8,
                pin_memory=loading.pin,
            )
            for asked in views
        ]
        self._slots = [view for tensor in self._out for view in tensor]  # of all views: NxSxSx3
        self._tasks: list[Future[list[list[View]]]] = []

    def start(self, pool: ThreadPoolExecutor) -> None:
        self._tasks = [pool.submit(self._chunk, start) for start in range(0, len(self._numbers), CHUNK)]

    def _chunk(self, start: int) -> list[list[View]]:
        """Makes all views of CHUNK images; returns what was drawn, a list an image."""
        return [self._image(row) for row in range(start, min(start + CHUNK, len(self._numbers)))]

    def _image(self, row: int) -> list[View]:
        number = int(self._numbers[row])
        image = self._pixels[number]
        drawn = draw_views(*self._draw, number, image.shape[0], image.shape[1], self._recipes)
        for out, view, recipe in zip(self._slots, drawn, self._recipes, strict=True):
            crop = out[row]
            resize_into(crop, image, view.box, recipe.bicubic)
            if self._colour:
                pixels = crop.numpy()
                pixels[:] = augment(pixels, view, recipe.steps)
        return drawn

    def batch(self) -> Batch:
        """Waits for the threads; raises what one of them raised."""
        per_image = [drawn for task in self._tasks for drawn in task.result()]
        per_view = iter([list(view) for view in zip(*per_image, strict=True)])
        crops = [
            Crops(out, [next(per_view) for _ in range(asked.count)], RECIPES[asked.recipe].steps)
            for out, asked in zip(self._out, self._views, strict=True)
        ]
        return Batch(crops, torch.from_numpy(self._numbers), self._colour)

    def cancel(self) -> None:
        for task in self._tasks:
            task.cancel()
