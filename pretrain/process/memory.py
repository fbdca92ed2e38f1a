"""Tells the allocator to keep what this process frees."""

import ctypes

_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4  # of glibc's malloc.h


def keep_freed_memory() -> None:
    """Lets glibc reuse freed memory instead of handing it back; elsewhere nothing happens.

    By default every block over 32 MiB is mapped anew and its pages zeroed at first touch, at every step: a
    tenth to a sixth of a ResNet-50 step on a CPU (benchmarks/perf/pretrain.py). The process never shrinks.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):  # musl, macOS
        return
    mallopt(_M_MMAP_MAX, 0)
    mallopt(_M_TRIM_THRESHOLD, -1)
