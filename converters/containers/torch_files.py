"""Reads torch's two file formats: the zip archive (since 1.6) and the legacy stream of pickles before it."""

from __future__ import annotations

import json
import tarfile
import zipfile
from typing import Any

from converters.containers.file_bytes import Checked, FileBytes
from converters.containers.pickles.allowed import Storage, storage_dtype
from converters.containers.pickles.machine import read_pickle
from converters.containers.tensors import item_size
from converters.errors import CheckpointError

LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
MAX_PICKLE_BYTES = 1 << 28
MAX_ENTRIES = 200_000
LOCAL_HEADER = 30
METADATA = "moco_transfer.json"  # a member that torch.load passes over: the manifest of a backbone of ours
MAX_METADATA = 1 << 20
LEGACY_TAR = {"sys_info", "pickle", "storages", "tensors"}
OTHER_ITEMS = {
    "ComplexFloatStorage": 8,
    "ComplexDoubleStorage": 16,
    "QInt8Storage": 1,
    "QUInt8Storage": 1,
    "QInt32Storage": 4,
}


def read_torch_zip(
    file: FileBytes, passed_over: tuple[str, ...] = ()
) -> tuple[Any, set[str], list[Checked], dict[str, Any]]:
    """The pickled object, its foreign names, the parts to check against their CRC, and our metadata.

    Tensors are described, not read. Members that end with `passed_over` are not looked at. The metadata are
    {} where another program wrote the file.
    """
    entries = zip_entries(file, passed_over)
    pickles = [name for name in entries if name.endswith("/data.pkl") or name == "data.pkl"]
    if len(pickles) != 1:
        raise CheckpointError(f"zip archive with {len(pickles)} data.pkl; expected 1, as torch.save writes")
    root = pickles[0].removesuffix("data.pkl")
    data = entries[pickles[0]]
    if data.size > MAX_PICKLE_BYTES:
        raise CheckpointError(f"data.pkl of {data.size} bytes; expected at most {MAX_PICKLE_BYTES}")
    order = entries.get(f"{root}byteorder")
    swap = order is not None and file.read(order.start, order.start + order.size) == b"big"
    storages: dict[str, Storage] = {}

    def persistent(identity: Any) -> Storage:
        kind, key, count = storage_reference(identity)
        entry = entries.get(f"{root}data/{key}")
        if entry is None:
            raise CheckpointError(f"storage {key!r} is named but not in the archive")
        dtype = storage_dtype(kind)
        if dtype and count * item_size(dtype) > entry.size:
            raise CheckpointError(f"storage {key!r} announces {count} elements but holds {entry.size} bytes")

        def read(start: int, stop: int) -> bytes:
            return file.read(entry.start + start, entry.start + stop)

        # One key may be asked for with two element types; the bytes are the same, the description is not.
        return storages.setdefault(f"{dtype} {key}", Storage(dtype, ("zip", key), entry.size, read, swap))

    view = memoryview(file.read(data.start, data.start + data.size))
    value, _, foreign = read_pickle(view, persistent=persistent)
    return value, foreign, list(entries.values()), _metadata(file, entries.get(root + METADATA))


def _metadata(file: FileBytes, member: Checked | None) -> dict[str, Any]:
    if member is None:
        return {}
    if member.size > MAX_METADATA:
        raise CheckpointError(f"{METADATA} of {member.size} bytes; expected at most {MAX_METADATA}")
    try:
        found = json.loads(file.read(member.start, member.start + member.size))
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{METADATA} in the archive is not JSON: {error}") from None
    return found if type(found) is dict else {}


def zip_entries(file: FileBytes, passed_over: tuple[str, ...] = ()) -> dict[str, Checked]:
    """Every member with the place of its bytes, but for those that end with `passed_over`.

    Compressed ones, which torch never writes, are refused.
    """
    try:
        with zipfile.ZipFile(file.path) as archive:
            infos = archive.infolist()
    except (zipfile.BadZipFile, ValueError, OSError, NotImplementedError, RuntimeError) as error:
        raise CheckpointError(f"{file.path.name} is a damaged or truncated zip archive: {error}") from None
    entries: dict[str, Checked] = {}
    if len(infos) > MAX_ENTRIES:
        raise CheckpointError(f"zip archive with {len(infos)} members; expected at most {MAX_ENTRIES}")
    for info in infos:
        if info.is_dir() or info.filename.endswith(passed_over):
            continue
        if (
            info.compress_type != zipfile.ZIP_STORED
            or info.flag_bits & 1
            or info.file_size != info.compress_size
        ):
            raise CheckpointError(
                f"member {info.filename!r} is compressed or encrypted; torch.save does neither"
            )
        if info.filename in entries:
            raise CheckpointError(f"zip archive with two members named {info.filename!r}")
        header = file.read(info.header_offset, info.header_offset + LOCAL_HEADER)
        if header[:4] != b"PK\x03\x04":
            raise CheckpointError(
                f"zip archive whose member {info.filename!r} is not where the index says (damaged)"
            )
        names = int.from_bytes(header[26:28], "little") + int.from_bytes(header[28:30], "little")
        start = info.header_offset + LOCAL_HEADER + names
        entries[info.filename] = Checked(info.filename, start, info.file_size, info.CRC)
    end = 0
    for entry in sorted(entries.values(), key=lambda e: e.start):
        if entry.start < end or entry.start + entry.size > file.size:
            raise CheckpointError(
                f"zip archive whose member {entry.name!r} overlaps another or the end of the file"
            )
        end = entry.start + entry.size
    return entries


def storage_reference(identity: Any) -> tuple[Any, str, int]:
    """(type name, key, element count) out of torch's id ('storage', type, key, location, count, ...)."""
    if type(identity) is not tuple or len(identity) < 5 or identity[0] != "storage":
        raise CheckpointError(f"a reference outside the pickle that is not torch's: {str(identity)[:60]}")
    _, kind, key, _, count = identity[:5]
    if type(count) is not int or count < 0 or type(key) is not str:
        raise CheckpointError("a storage with a malformed key or size")
    return kind, key, count


def read_torch_legacy(file: FileBytes, view: memoryview) -> tuple[Any, set[str]]:
    """The object and its foreign names, out of five pickles: magic, protocol, system, object, storage keys.

    Behind them lies each storage: its count, then its bytes.
    """
    magic, position, _ = read_pickle(view)
    if magic != LEGACY_MAGIC:
        raise CheckpointError("not torch's legacy format")
    protocol, position, foreign = read_pickle(view, position)
    system, position, more = read_pickle(view, position)
    foreign |= more
    swap = type(system) is dict and system.get("little_endian") is False
    places: dict[str, tuple[int, int]] = {}
    wanted: dict[str, tuple[int, int]] = {}  # bytes per element, elements

    def persistent(identity: Any) -> Any:
        if type(identity) is tuple and identity and identity[0] == "module":
            return identity[1] if len(identity) > 1 else None  # old torch kept a class with its source text
        kind, key, count = storage_reference(identity)
        dtype = storage_dtype(kind)
        item = item_size(dtype) if dtype else OTHER_ITEMS.get(kind.name, 0)
        if not item:
            raise CheckpointError(f"a storage of the unknown type {kind.dotted}")
        wanted.setdefault(key, (item, count))
        first, count = _part_of_storage(identity, count)
        base = first * item

        def read(start: int, stop: int) -> bytes:
            place, _ = places[key]
            return file.read(place + base + start, place + base + stop)

        return Storage(dtype, ("legacy", key, base), count * item, read, swap)

    value, position, more = read_pickle(view, position, persistent)
    foreign |= more
    keys, position, more = read_pickle(view, position)
    foreign |= more
    if type(keys) is not list or sorted(map(str, keys)) != sorted(wanted):
        raise CheckpointError("the list of storages does not fit the object")
    for key in keys:
        item, count = wanted[key]
        stored = int.from_bytes(view[position : position + 8], "little" if not swap else "big")
        size = count * item
        if stored != count or position + 8 + size > file.size:
            raise CheckpointError(
                f"{file.path.name} is truncated or damaged at storage {key} (byte {position})"
            )
        places[key] = (position + 8, size)
        position += 8 + size
    if protocol != 1001:
        raise CheckpointError(f"torch legacy protocol {protocol}; expected 1001")
    return value, foreign


def about_tar(file: FileBytes) -> str:
    """Why a tar archive cannot be read: torch's format before 0.2, which only torch reads, or a folder."""
    try:
        with tarfile.open(file.path, "r:") as archive:
            names = {member.name for member in (archive.next() for _ in range(len(LEGACY_TAR))) if member}
    except (tarfile.TarError, OSError, ValueError) as error:
        return f"a damaged tar archive ({error}); fetch or copy the file again"
    if not {"pickle", "storages"} <= names:
        return "a tar archive of files; unpack it first (tar -xf) and convert the checkpoint in it"
    code = "import sys, torch; torch.save(torch.load(sys.argv[1], weights_only=False), sys.argv[2])"
    return (
        "torch's tar format from before version 0.2; if you trust the file (this runs its code), save it "
        f'anew and convert that: python -c "{code}" OLD NEW.pth'
    )


def _part_of_storage(identity: tuple, count: int) -> tuple[int, int]:
    """(first element, number of elements); very old files name a part (key, offset, size) of a storage."""
    part = identity[5] if len(identity) > 5 else None
    if part is None:
        return 0, count
    if type(part) is not tuple or len(part) != 3 or any(type(n) is not int for n in part[1:]):
        raise CheckpointError("a storage with a malformed view")
    _, first, size = part
    if first < 0 or size < 0 or first + size > count:
        raise CheckpointError("a storage view that reaches outside its storage")
    return first, size
