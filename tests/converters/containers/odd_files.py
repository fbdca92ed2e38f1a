"""Files that are met rarely: torch's tar format, expanded tensors, thousands of tensors, absurd values."""

from __future__ import annotations

import io
import json
import pickle
import struct
import tarfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch


class _ByKey(pickle.Pickler):
    """Tensors leave the pickle as their number, as torch wrote them before version 0.2."""

    def __init__(self, file: io.BytesIO, keys: dict[int, int]) -> None:
        super().__init__(file, protocol=2)
        self.keys = keys

    def persistent_id(self, value: Any) -> str | None:
        return str(self.keys[id(value)]) if isinstance(value, torch.Tensor) else None


def legacy_tar(state: dict[str, torch.Tensor], path: Path) -> Path:
    """The tar that torch 0.1 wrote and torch.load still reads: storages, tensors and the object."""
    storages, described, content = io.BytesIO(), io.BytesIO(), io.BytesIO()
    storages.write(pickle.dumps(len(state), protocol=2))
    described.write(pickle.dumps(len(state), protocol=2))
    keys = {}
    for number, tensor in enumerate(state.values()):
        kind = torch.LongStorage if tensor.dtype == torch.int64 else torch.FloatStorage
        flat = tensor.contiguous().reshape(-1).numpy()
        storages.write(pickle.dumps((number, "cpu", kind), protocol=2))
        storages.write(struct.pack("<q", flat.size) + flat.tobytes())
        keys[id(tensor)] = 10_000 + number
        described.write(pickle.dumps((10_000 + number, number, None), protocol=2))
        described.write(struct.pack("<i4x", tensor.ndim))
        for numbers in (tensor.shape, tensor.contiguous().stride()):
            described.write(struct.pack(f"<{tensor.ndim}q", *numbers))
        described.write(struct.pack("<q", 0))
    storages.write(pickle.dumps([], protocol=2))
    _ByKey(content, keys).dump(dict(state))
    system = io.BytesIO(pickle.dumps({"little_endian": True}, protocol=2))
    with tarfile.open(path, "w:", format=tarfile.PAX_FORMAT) as archive:
        parts = {"sys_info": system, "pickle": content, "tensors": described, "storages": storages}
        for name, part in parts.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(part.getvalue())
            part.seek(0)
            archive.addfile(entry, part)
    return path


def many_tensors(names: Iterable[str], path: Path) -> Path:
    """A safetensors file with one float under each of the names."""
    rows = [
        f'{json.dumps(name)}:{{"dtype":"F32","shape":[1],"data_offsets":[{4 * i},{4 * i + 4}]}}'
        for i, name in enumerate(names)
    ]
    text = f"{{{','.join(rows)}}}".encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + bytes(4 * len(rows)))
    return path
