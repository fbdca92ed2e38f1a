"""How a process on a CPU treats memory that it has freed."""

from __future__ import annotations

import ctypes

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
