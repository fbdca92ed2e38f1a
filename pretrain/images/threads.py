"""Starts the threads that prepare images beside the training, each without threads of its own."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import torch


@contextmanager
def image_threads(workers: int, name: str) -> Iterator[ThreadPoolExecutor]:
    """Gives a pool of `workers` single-threaded threads; torch's own number of threads stays as it is."""
    with ThreadPoolExecutor(max(1, workers), name, initializer=single_threaded) as pool:
        threads = torch.get_num_threads()
        pool.submit(single_threaded).result()
        torch.set_num_threads(threads)  # the initialiser's setting is for its thread; ours must stay
        yield pool


def single_threaded() -> None:
    """Keeps torch and OpenCV from starting threads of their own, which would fight over the same cores."""
    import cv2

    cv2.setNumThreads(1)
    torch.set_num_threads(1)
