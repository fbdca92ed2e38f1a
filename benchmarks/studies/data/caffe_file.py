"""Reads the numbers of a Caffe model file: layers by name, their blobs as arrays. It runs nothing.

The file is a protocol buffer (caffe.proto: NetParameter.layer = 100, LayerParameter.name = 1 and .blobs = 7,
BlobProto.data = 5, .shape = 7, BlobShape.dim = 1); of its fields only these are looked at.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from benchmarks.errors import UsageError

_LAYER, _NAME, _BLOBS, _DATA, _SHAPE, _DIM = 100, 1, 7, 5, 7, 1
_VARINT, _EIGHT, _BYTES, _FOUR = 0, 1, 2, 5  # kinds of fields on the wire


def read_layers(content: bytes) -> dict[str, list[np.ndarray]]:
    """Name -> float32 blobs in their shapes, of the layers that have any; UsageError for another file."""
    layers: dict[str, list[np.ndarray]] = {}
    try:
        for number, value in _fields(memoryview(content)):
            if number == _LAYER and isinstance(value, memoryview):
                parts = list(_fields(value))
                name = next(bytes(v).decode() for n, v in parts if n == _NAME and isinstance(v, memoryview))
                blobs = [_blob(v) for n, v in parts if n == _BLOBS and isinstance(v, memoryview)]
                layers |= {name: blobs} if blobs else {}
    except (IndexError, ValueError, StopIteration) as error:
        raise UsageError(f"no Caffe model file ({error!r}); take the package's file anew") from None
    return layers


def _blob(content: memoryview) -> np.ndarray:
    data, shape = np.zeros(0, np.float32), []
    for number, value in _fields(content):
        if number == _DATA and isinstance(value, memoryview):
            data = np.frombuffer(value, "<f4").astype(np.float32)
        elif number == _SHAPE and isinstance(value, memoryview):
            shape = [
                d for _, packed in _fields(value) if isinstance(packed, memoryview) for d in _numbers(packed)
            ]
    return data.reshape(shape)


def _fields(content: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """(number, value) of each field: a whole number, or the bytes of anything else."""
    at = 0
    while at < len(content):
        key, at = _number(content, at)
        kind = key & 7
        if kind == _VARINT:
            value, at = _number(content, at)
            yield key >> 3, value
            continue
        if kind == _BYTES:
            length, at = _number(content, at)
        elif kind in (_FOUR, _EIGHT):
            length = 4 if kind == _FOUR else 8
        else:
            raise ValueError(f"field of kind {kind}")
        if at + length > len(content):
            raise ValueError("cut off")
        yield key >> 3, content[at : at + length]
        at += length


def _numbers(content: memoryview) -> Iterator[int]:
    at = 0
    while at < len(content):
        value, at = _number(content, at)
        yield value


def _number(content: memoryview, at: int) -> tuple[int, int]:
    """(value, place behind it): seven bits a byte, low ones first, the eighth says more follow."""
    value = shift = 0
    while True:
        byte = content[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return value, at
