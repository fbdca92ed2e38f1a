"""Yields batches of decoded images in the order of their list, whatever the number of threads."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

from transfer.datasets.image_list.images import Images, Place, open_image

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

AHEAD = 2  # batches that are made before they are asked for
_Made = TypeVar("_Made")


def batches(
    images: Images, transform: Callable[[Picture, str], _Made], size: int, workers: int, first: int = 0
) -> Iterator[tuple[list[_Made], tuple[str, ...]]]:
    """Yields (what `transform` made of each image, ids) from image `first` on; the last batch may be short.

    transform: gets an RGB image and its id, which also seeds what it draws. DataError names an image that
    cannot be decoded. Decoding and most of Pillow free the interpreter, so threads share the work.
    """

    def make(place: Place, image_id: str) -> _Made:
        return transform(open_image(place), image_id)

    with ThreadPoolExecutor(max(1, workers), thread_name_prefix="images") as pool:
        waiting: deque[tuple[int, list[Future[_Made]]]] = deque()
        try:
            for start in range(first, len(images) + AHEAD * size, size):
                rows = range(start, min(start + size, len(images)))
                if rows:
                    made = [pool.submit(make, images.places[i], images.ids[i]) for i in rows]
                    waiting.append((start, made))
                if waiting and start - waiting[0][0] >= AHEAD * size:
                    begin, futures = waiting.popleft()
                    yield [f.result() for f in futures], images.ids[begin : begin + len(futures)]
        finally:
            for _, futures in waiting:
                for future in futures:
                    future.cancel()
