"""Writes the pickle that stock Detectron2 of any age and numpy 1 or 2 can read; same backbone, same bytes.

Written opcode by opcode: the standard pickler would name numpy 2's private module, which numpy 1 lacks,
and its memo makes bytes depend on object identity. The form is protocol 2's, with one opcode from protocol 3:
protocol 2 has no bytes, only text, and as text the weights take half as much again and four times as long to
write. Every Python 3 reads that opcode under any header, with or without Detectron2's `encoding="latin1"`.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from converters.errors import CheckpointError

Write = Callable[[bytes | memoryview], Any]
ELEMENT_TYPES = {"float32": b"f4", "int64": b"i8"}


def write_pickle(write: Write, value: Any) -> None:
    """Streams `value` as a pickle: dicts with text keys, lists, JSON scalars, float32 and int64 arrays.

    CheckpointError for anything else.
    """
    write(b"\x80\x02")
    _object(write, value)
    write(b".")


def _object(write: Write, value: Any) -> None:
    for kind, writer in WRITERS:
        if isinstance(value, kind):
            writer(write, value)
            return
    raise CheckpointError(f"a {type(value).__name__} cannot go into a backbone file")


def _text(write: Write, value: str) -> None:
    utf8 = value.encode("utf-8", "surrogatepass")
    write(b"X" + struct.pack("<I", len(utf8)) + utf8)


def _integer(write: Write, value: int) -> None:
    if -(2**31) <= value < 2**31:
        write(b"J" + struct.pack("<i", value))
    else:
        raw = value.to_bytes((value.bit_length() + 8) // 8, "little", signed=True)
        write(b"\x8a" + bytes([len(raw)]) + raw)


def _mapping(write: Write, value: Mapping[str, Any]) -> None:
    write(b"}(")
    for key, item in value.items():
        _text(write, key)
        _object(write, item)
    write(b"u")


def _sequence(write: Write, value: list[Any] | tuple[Any, ...]) -> None:
    write(b"](")
    for item in value:
        _object(write, item)
    write(b"e")


def _array(write: Write, value: np.ndarray) -> None:
    """numpy's own three steps: an empty array, its state (version, shape, type, order, bytes), BUILD."""
    element = ELEMENT_TYPES.get(value.dtype.name)
    if element is None or not value.dtype.isnative or not value.flags.c_contiguous:
        raise CheckpointError(f"array of {value.dtype}; expected native, contiguous float32 or int64")
    write(b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85")
    _bytes(write, b"b")
    write(b"\x87R(K\x01")
    write(b"(")
    for size in value.shape:
        _integer(write, size)
    write(b"t")
    write(b"cnumpy\ndtype\n")
    _text(write, element.decode())
    write(b"K\x00K\x01\x87R(K\x03")
    _text(write, "<")
    write(b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89")
    little = value.astype(value.dtype.newbyteorder("<"), copy=False)
    _bytes(write, little.reshape(-1).view(np.uint8).data)
    write(b"tb")


def _bytes(write: Write, value: bytes | memoryview) -> None:
    write(b"B" + struct.pack("<I", len(value)))
    write(value)


WRITERS: tuple[tuple[Any, Callable[[Write, Any], None]], ...] = (
    (type(None), lambda write, value: write(b"N")),
    (bool, lambda write, value: write(b"\x88" if value else b"\x89")),  # before int: a bool is one
    (int, _integer),
    (float, lambda write, value: write(b"G" + struct.pack(">d", value))),
    (str, _text),
    (dict, _mapping),
    ((list, tuple), _sequence),
    (np.ndarray, _array),
)
