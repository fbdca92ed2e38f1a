"""Batches of augmented views, made ahead of time by threads, in an order that does not depend on them."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from pretrain.images.augment_device import augment as augment_on_device
from pretrain.images.augment_device import normalise
from pretrain.images.augment_host import augment, resized_crop
from pretrain.images.decode import Pixels
from pretrain.images.draws import Recipe, View, draw_views, sample_order
from pretrain.process import distributed

CHUNK = 8  # images a task: enough for a cheap hand-over, few enough to occupy all threads


@dataclass
class Batch:
    """One process's share of a step."""

    crops: Tensor  # uint8 VxNxSxSx3: V views of N images
    views: list[list[View]]  # V lists of N
    index: Tensor  # int64 N: image numbers

    def images(self, device: torch.device, steps: tuple[str, ...], augmented: bool) -> list[Tensor]:
        """The views on `device`, normalised Nx3xSxS; their colour steps are done here unless `augmented`
        says so.
        """
        moved = self.crops.to(device, non_blocking=True).flatten(
            0, 1
        )  # both views in one go: half the launches
        if not augmented:
            moved = augment_on_device(moved, [view for views in self.views for view in views], steps)
        return list(normalise(moved).chunk(len(self.views)))


def batches(
    pixels: Pixels,
    recipe: Recipe,
    *,
    seed: int,
    batch_size: int,
    image_size: int,
    first: int,
    last: int,
    workers: int,
    augment_on_host: bool,
    pin: bool = False,
    views: int = 2,
    ahead: int = 3,
) -> Generator[Batch, None, None]:
    """Batches of iterations first..last-1; `batch_size` is that of all processes together.

    Epochs drop the incomplete last batch. `workers` threads work `ahead` batches in front of the consumer.
    """
    per_epoch = len(pixels.images) // batch_size
    rows = distributed.my_slice(batch_size)
    order: tuple[int, np.ndarray] = (-1, np.empty(0, np.int64))

    def view_of(number: int, epoch: int, out: Tensor, slot: int) -> list[View]:
        image = pixels[number]
        drawn = draw_views(seed, epoch, number, image.shape[0], image.shape[1], recipe, len(out))
        for i, view in enumerate(drawn):
            crop = resized_crop(image, view.box, image_size)
            out[i, slot] = torch.from_numpy(augment(crop, view, recipe.steps) if augment_on_host else crop)
        return drawn

    def chunk(numbers: np.ndarray, epoch: int, out: Tensor, start: int) -> list[list[View]]:
        return [view_of(int(number), epoch, out, start + i) for i, number in enumerate(numbers)]

    with ThreadPoolExecutor(max(1, workers), "images", initializer=single_threaded) as pool:
        threads = torch.get_num_threads()
        pool.submit(single_threaded).result()
        torch.set_num_threads(threads)  # the initialiser's setting is for its thread; ours must stay
        waiting: deque[tuple[Tensor, np.ndarray, list[Future]]] = deque()
        try:
            for iteration in range(first, last + ahead):
                if iteration < last:
                    epoch, place = divmod(iteration, per_epoch)
                    if order[0] != epoch:
                        order = (epoch, sample_order(seed, epoch, len(pixels.images)))
                    mine = order[1][place * batch_size : (place + 1) * batch_size][rows]
                    out = torch.empty(
                        (views, len(mine), image_size, image_size, 3), dtype=torch.uint8, pin_memory=pin
                    )
                    starts = range(0, len(mine), CHUNK)
                    tasks = [pool.submit(chunk, mine[s : s + CHUNK], epoch, out, s) for s in starts]
                    waiting.append((out, mine, tasks))
                if iteration - first >= ahead and waiting:
                    out, mine, tasks = waiting.popleft()
                    per_image = [drawn for task in tasks for drawn in task.result()]
                    yield Batch(
                        out, [list(view) for view in zip(*per_image, strict=True)], torch.from_numpy(mine)
                    )
        finally:
            for _, _, tasks in waiting:
                for task in tasks:
                    task.cancel()


def single_threaded() -> None:
    """Each worker is one thread: torch's and OpenCV's own threads would only fight over the same cores."""
    import cv2

    cv2.setNumThreads(1)
    torch.set_num_threads(1)
