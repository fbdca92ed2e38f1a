"""Reads the two array formats that hold no code: numpy's .npz archive and safetensors."""

from __future__ import annotations

import io
import json
import zipfile
import zlib
from collections.abc import Callable, Collection
from typing import Any

import numpy as np

from converters.containers.file_bytes import Checked, FileBytes
from converters.containers.tensors import StoredTensor, fortran_strides
from converters.containers.torch_files import zip_entries
from converters.errors import CheckpointError

MAX_HEADER = 1 << 24
MAX_TENSORS = 10_000  # a ResNet-152 with query, key and optimizer has 6,000
MAX_NAME = 1_000
ALONE = "save the backbone's state dict alone"
MAX_NPY_HEADER = 10_000
MAX_INFLATED = 1 << 30  # one array; the widest layer of a ResNet-152 x4 has 0.6 GB
SAFETENSORS = {
    "F64": "f8",
    "F32": "f4",
    "F16": "f2",
    "BF16": "bf2",
    "I64": "i8",
    "I32": "i4",
    "I16": "i2",
    "I8": "i1",
    "U8": "u1",
    "BOOL": "b1",
}
BFLOAT16 = {"|V2": "bf2"}  # numpy has no such type: JAX's arrays are saved as two bytes of nothing
NUMPY_KINDS = {"f8", "f4", "f2", "bf2", "i8", "i4", "i2", "i1", "u1", "u2", "u4", "u8", "b1"}


def read_safetensors(file: FileBytes) -> tuple[dict[str, StoredTensor], dict[str, Any]]:
    """Name to tensor, and the metadata.

    The header must describe the file exactly: no gap, no overlap, nothing beyond the end. CheckpointError if
    it does not, or is longer than MAX_HEADER.
    """
    size = int.from_bytes(file.read(0, 8), "little")
    if size > file.size - 8:
        raise CheckpointError(
            f"safetensors header of {size} bytes in a file of {file.size} (truncated or damaged)"
        )
    if size > MAX_HEADER:
        raise CheckpointError(
            f"safetensors header of {size:,} bytes; expected at most {MAX_HEADER:,}: {ALONE}"
        )
    try:
        header = json.loads(file.read(8, 8 + size))
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"safetensors header is not JSON: {error}") from None
    if type(header) is not dict:
        raise CheckpointError("safetensors header is not a table")
    metadata = header.pop("__metadata__", None)
    _check_names(header)
    base, end = 8 + size, 0
    tensors: dict[str, StoredTensor] = {}
    for name, row in sorted(header.items(), key=lambda item: _span(item[0], item[1])):
        start, stop = _span(name, row)
        if start != end or base + stop > file.size:
            raise CheckpointError(
                f"safetensors entry {name!r} leaves a gap, overlaps or lies beyond the end of the file"
            )
        end = stop
        shape, dtype = row.get("shape"), SAFETENSORS.get(row.get("dtype"), "")
        if type(shape) is not list:
            raise CheckpointError(f"safetensors entry {name!r} has no shape")
        if dtype:
            tensors[name] = StoredTensor().place(
                tuple(shape), dtype, _reader(file, base + start), stop - start, key=("safetensors", start)
            )
    if base + end != file.size:
        raise CheckpointError(f"safetensors file of {file.size} bytes; its header describes {base + end}")
    return tensors, metadata if type(metadata) is dict else {}


def _check_names(names: Collection[str]) -> None:
    """Names are looked at one by one: what a header of 16 MB can hold would take half a minute."""
    if len(names) > MAX_TENSORS:
        raise CheckpointError(f"{len(names):,} tensors; expected at most {MAX_TENSORS:,}: {ALONE}")
    longest = max(map(len, names), default=0)
    if longest > MAX_NAME:
        raise CheckpointError(f"a tensor name of {longest:,} characters; expected at most {MAX_NAME:,}")


def _span(name: str, row: Any) -> tuple[int, int]:
    span = row.get("data_offsets") if type(row) is dict else None
    if (
        type(span) is not list
        or len(span) != 2
        or any(type(n) is not int for n in span)
        or not 0 <= span[0] <= span[1]
    ):
        raise CheckpointError(f"safetensors entry {name!r} has no valid data_offsets")
    return span[0], span[1]


def _reader(file: FileBytes, base: int) -> Callable[[int, int], bytes]:
    return lambda start, stop: file.read(base + start, base + stop)


def read_npz(file: FileBytes) -> tuple[dict[str, StoredTensor], list[Checked]]:
    """Name to tensor, and the parts to check against their CRC; arrays of objects, pickles, are left out."""
    with zipfile.ZipFile(file.path) as archive:
        infos = [info for info in archive.infolist() if info.filename.endswith(".npy")]
    _check_names([info.filename for info in infos])
    stored = all(info.compress_type == zipfile.ZIP_STORED for info in infos)
    entries = zip_entries(file) if stored else {}
    tensors: dict[str, StoredTensor] = {}
    for info in infos:
        whole = _inflated(file, info)
        if stored:
            entry = entries[info.filename]
            head = file.read(entry.start, entry.start + min(entry.size, MAX_NPY_HEADER))
        else:
            head = whole(0, min(info.file_size, MAX_NPY_HEADER))
        shape, fortran, dtype, offset = _npy_header(info.filename, head)
        kind = BFLOAT16.get(dtype.str, dtype.str.lstrip("<>=|"))
        if kind not in NUMPY_KINDS:
            continue
        read = _reader(file, entries[info.filename].start + offset) if stored else _shifted(whole, offset)
        tensors[info.filename.removesuffix(".npy")] = StoredTensor().place(
            shape,
            kind,
            read,
            info.file_size - offset,
            strides=fortran_strides(shape) if fortran else None,
            swap=dtype.str.startswith(">"),
            key=("npz", info.filename),
        )
    return tensors, list(entries.values())


def _npy_header(name: str, head: bytes) -> tuple[tuple[int, ...], bool, np.dtype, int]:
    stream = io.BytesIO(head)
    try:
        version = np.lib.format.read_magic(stream)
        read = (
            np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        )
        shape, fortran, dtype = read(stream, max_header_size=MAX_NPY_HEADER)
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError) as error:
        raise CheckpointError(f"{name} is not a readable array: {str(error)[:120]}") from None
    return shape, fortran, dtype, stream.tell()


def _inflated(file: FileBytes, info: zipfile.ZipInfo) -> Callable[[int, int], bytes]:
    """Reads a compressed member as far as `stop`; zipfile checks its CRC when the end is reached."""

    def read(start: int, stop: int) -> bytes:
        if stop > MAX_INFLATED:
            raise CheckpointError(f"{info.filename} inflates to more than {MAX_INFLATED} bytes")
        try:
            with zipfile.ZipFile(file.path) as archive, archive.open(info) as member:
                data = member.read(stop)
        except (
            zipfile.BadZipFile,
            OSError,
            ValueError,
            NotImplementedError,
            RuntimeError,
            EOFError,
        ) as error:
            raise CheckpointError(f"{info.filename} is damaged: {error}") from None
        except zlib.error as error:
            raise CheckpointError(f"{info.filename} is damaged: {error}") from None
        if len(data) < stop:
            raise CheckpointError(f"{info.filename} ends early (truncated)")
        return data[start:stop]

    return read


def _shifted(read: Callable[[int, int], bytes], by: int) -> Callable[[int, int], bytes]:
    return lambda start, stop: read(start + by, stop + by)
