"""Describes a tensor that is not yet read, so that a converter touches only the bytes that it needs."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from converters.errors import CheckpointError

# torch's storage and dtype names; bfloat16 has no numpy type and is widened by hand in `array`.
DTYPES = {
    "double": "f8",
    "float64": "f8",
    "float": "f4",
    "float32": "f4",
    "half": "f2",
    "float16": "f2",
    "bfloat16": "bf2",
    "long": "i8",
    "int64": "i8",
    "int": "i4",
    "int32": "i4",
    "short": "i2",
    "int16": "i2",
    "char": "i1",
    "int8": "i1",
    "byte": "u1",
    "uint8": "u1",
    "bool": "b1",
}
MAX_DIMENSIONS = 32


class StoredTensor:
    """Shape, element type and place of one dense tensor; `array()` reads it.

    `read(start, stop)` returns those bytes of the storage. Strides and offset are in elements. It is built
    empty and filled by `place`, because a pickle refers to the object before it knows the contents.
    """

    __slots__ = ("dtype", "key", "offset", "read", "shape", "stored_bytes", "strides", "swap")

    def __init__(self) -> None:
        self.shape: tuple[int, ...] | None = None  # None: not filled yet
        self.dtype = ""
        self.strides: tuple[int, ...] = ()
        self.offset = 0
        self.stored_bytes = 0
        self.swap = False
        self.read: Callable[[int, int], Any] | None = None
        self.key: Any = None  # equal keys mean the same bytes: shared storages are recognised without reading

    def place(
        self,
        shape: tuple[int, ...],
        dtype: str,
        read: Callable[[int, int], Any],
        storage_bytes: int,
        *,
        strides: tuple[int, ...] | None = None,
        offset: int = 0,
        swap: bool = False,
        key: Any = None,
    ) -> StoredTensor:
        """Fills it, once every element is known to lie inside the storage. CheckpointError if one does not.

        torch itself does not promise that for hostile files. An expanded tensor (stride 0) may show more than
        is stored: it is described here, and refused by `array`.
        """
        numbers = (*shape, *(strides or ()), offset)
        if len(shape) > MAX_DIMENSIONS or any(type(n) is not int or n < 0 for n in numbers):
            raise CheckpointError(f"tensor with impossible shape, stride or offset {numbers[:9]}")
        if strides is None:
            strides = contiguous_strides(shape)
        if len(strides) != len(shape):
            raise CheckpointError(f"tensor with {len(shape)} dimensions but {len(strides)} strides")
        item = item_size(dtype)
        count = math.prod(shape)
        last = offset + sum((n - 1) * s for n, s in zip(shape, strides, strict=True)) if count else 0
        if count and (last + 1) * item > storage_bytes:
            raise CheckpointError(
                f"tensor of shape {shape} reaches outside its storage of {storage_bytes} bytes"
            )
        self.shape, self.dtype, self.strides, self.offset = shape, dtype, strides, offset
        self.read, self.swap, self.key, self.stored_bytes = read, swap, key, storage_bytes
        return self

    def array(self) -> np.ndarray:
        """A fresh array, native byte order and C-contiguous; bfloat16 comes back as float32."""
        if self.shape is None or self.read is None:
            raise CheckpointError("tensor without contents")
        item, count = item_size(self.dtype), math.prod(self.shape)
        if count == 0:
            return np.zeros(self.shape, dtype="f4" if self.dtype == "bf2" else self.dtype)
        span = 1 + sum((n - 1) * s for n, s in zip(self.shape, self.strides, strict=True))
        # It could blow a byte up to any size, and no trained convolution or norm is one.
        if count * item > self.stored_bytes:
            raise CheckpointError(
                f"an expanded tensor of shape {self.shape} and strides {self.strides} with only "
                f"{self.stored_bytes} stored bytes; save the weights with .clone()"
            )
        raw = self.read(self.offset * item, (self.offset + span) * item)
        flat = np.frombuffer(raw, dtype="u2" if self.dtype == "bf2" else self.dtype, count=span)
        view = np.lib.stride_tricks.as_strided(
            flat, self.shape, tuple(s * flat.itemsize for s in self.strides), writeable=False
        )
        values = view.byteswap() if self.swap else view
        if self.dtype == "bf2":
            values = (values.astype("u4") << 16).view("f4")
        return np.array(values, order="C", copy=True)


def item_size(dtype: str) -> int:
    """Bytes per element: the number at the end of the type's name."""
    return int(dtype[-1])


def contiguous_strides(shape: tuple[int, ...]) -> tuple[int, ...]:
    """The strides in elements, the last axis moving fastest."""
    strides, step = [], 1
    for size in reversed(shape):
        strides.append(step)
        step *= max(size, 1)
    return tuple(reversed(strides))


def fortran_strides(shape: tuple[int, ...]) -> tuple[int, ...]:
    """The strides in elements, the first axis moving fastest."""
    return tuple(reversed(contiguous_strides(tuple(reversed(shape)))))
