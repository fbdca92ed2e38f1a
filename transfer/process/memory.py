"""Keeps freed blocks of memory for reuse, and turns a GPU's lack of memory into one line of advice."""

from __future__ import annotations

import ctypes
import re
from collections.abc import Iterator
from contextlib import contextmanager

from transfer.errors import TransferError

_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4  # of glibc's malloc.h


def keep_freed_memory() -> bool:
    """Lets the C library reuse freed memory instead of handing it back; False where it is not glibc.

    By default every block over 32 MiB is mapped anew and its pages are zeroed at first touch. In a training
    step, which frees and asks for the same activations again and again, that costs more than the smaller
    kernels (benchmarks/perf/train.py). The process never shrinks, so only a process that does nothing but a
    run should call this. GPUs have torch's own caching allocator.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):  # musl, macOS
        return False
    return bool(mallopt(_M_MMAP_MAX, 0)) and bool(mallopt(_M_TRIM_THRESHOLD, -1))


@contextmanager
def memory_advice(where: str, image_size_key: str) -> Iterator[None]:
    """Turns an allocation that failed on a GPU into one line that says what to change."""
    import torch

    try:
        yield
    except torch.OutOfMemoryError as error:
        found = re.search(r"[Tt]ried to allocate [\d.]+ \w+", str(error))
        asked = found.group() if found else "an allocation failed"
        raise TransferError(
            f"{where}: out of GPU memory ({asked}); lower SOLVER.IMS_PER_BATCH, "
            f"keep the batch by --accumulate or more --num-gpus, or lower {image_size_key}; the last "
            "checkpoint is kept"
        ) from None
