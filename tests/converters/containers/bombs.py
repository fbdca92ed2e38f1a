"""Files that grow when read, take for ever, or lie about their size."""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

PROTOCOL = b"\x80\x04"
HASH_MODULUS = 2**61 - 1  # integers that differ by multiples of it have one hash


def integer(value: int) -> bytes:
    raw = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
    return b"\x8a" + bytes([len(raw)]) + raw


def zip_of(*members: tuple[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        with zipfile.ZipFile(path, "w", compression) as archive:
            for name, content in members:
                archive.writestr(name, content)

    return write


def npy(shape: str, content: bytes = b"") -> bytes:
    header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}}}".encode().ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + content


def overlapping(path: Path) -> None:
    """Two index entries for the same bytes, as in bombs whose members share their data."""
    zip_of(("archive/data.pkl", b"\x80\x02}."), ("archive/data/0", bytes(64)), compression=0)(path)
    raw = bytearray(path.read_bytes())
    second = raw.rindex(b"PK\x01\x02")
    raw[second + 42 : second + 46] = bytes(4)  # its header offset becomes the first member's
    path.write_bytes(raw)


def safetensors(header: bytes) -> bytes:
    return struct.pack("<Q", len(header)) + header


DEEP = 250_000
BOMBS: dict[str, bytes | Callable[[Path], None]] = {
    "tuple doubled 400,000 times": PROTOCOL + b")" + b"2\x86" * 200_000 + b".",
    "doubled tuple as key": PROTOCOL + b"})" + b"2\x86" * 60 + b"Ns.",
    "doubled tuple in a set": PROTOCOL + b"\x8f()" + b"2\x86" * 60 + b"\x90.",
    "doubled tuple in a frozen set": PROTOCOL + b"()" + b"2\x86" * 60 + b"\x91.",
    "lists nested deeply": PROTOCOL + b"]" * DEEP + b"a" * (DEEP - 1) + b".",
    "dictionaries nested deeply": PROTOCOL + b"}K\x01" * 100_000 + b"N" + b"s" * 100_000 + b".",
    "marks": PROTOCOL + b"(" * DEEP + b".",
    "a million opcodes": PROTOCOL + b"N0" * 500_000 + b"N.",
    "a million numbers": PROTOCOL + b"](" + b"K\x01" * 1_000_000 + b"e.",
    "a million dictionaries": PROTOCOL + b"](" + b"}" * 1_000_000 + b"e.",
    "half a million placeholders": PROTOCOL + b"](" + b"cx\ny\n)R" * 150_000 + b"e.",
    "memo entries": PROTOCOL + b"N" + b"\x94" * 600_000 + b".",
    "memo index of 2^32": PROTOCOL + b"Nr\xff\xff\xff\xff.",
    "bytes of 2^63": PROTOCOL + b"\x8e" + struct.pack("<Q", 2**63) + b".",
    "bytearray of 2^63": b"\x80\x05\x96" + struct.pack("<Q", 2**63 - 1) + b".",
    "text of 2^62": PROTOCOL + b"\x8d" + struct.pack("<Q", 2**62) + b".",
    "text of 4 GB": PROTOCOL + b"X\xff\xff\xff\xff.",
    "old text of -1": PROTOCOL + b"T\xff\xff\xff\xff.",
    "frame of 2^63": PROTOCOL + b"\x95" + struct.pack("<Q", 2**63) + b"N.",
    "integer of 2 GB": PROTOCOL + b"\x8b\xff\xff\xff\x7f.",
    "integer of a million digits": b"L" + b"9" * 1_000_000 + b"L\n.",
    "float of a million digits": b"F" + b"9" * 1_000_000 + b"\n.",
    "keys with one hash": PROTOCOL
    + b"}("
    + b"".join(integer(i * HASH_MODULUS) + b"N" for i in range(30_000))
    + b"u.",
    "list that holds itself": PROTOCOL + b"]q\x00h\x00a.",
    "module that holds itself": PROTOCOL
    + b"cx\ny\n)\x81q\x00}X\x08\x00\x00\x00_modules}X\x01\x00\x00\x00ah\x00s"
    b"X\x01\x00\x00\x00bh\x00ssb.",
    "lists shared twofold, 60 deep": PROTOCOL + b"]q\x00" + b"](h\x00h\x00eq\x00" * 60 + b".",
    "zip of zeros": zip_of(("archive/data.pkl", bytes(50_000_000))),
    "zip with a compressed storage": zip_of(
        ("archive/data.pkl", b"\x80\x02}."), ("archive/data/0", bytes(50_000_000))
    ),
    "zip with one name twice": zip_of(*[("archive/data.pkl", b"\x80\x02}.")] * 2, compression=0),
    "zip whose members overlap": overlapping,
    "npz of zeros": zip_of(("conv1.weight.npy", npy("(64, 3, 7, 7)", bytes(50_000_000)))),
    "npz of a terabyte": zip_of(("conv1.weight.npy", npy(f"({2**40},)"))),
    "npz header nested": zip_of(("a.npy", npy("(" * 90 + ")" * 90))),
    "safetensors header of 2^63": struct.pack("<Q", 2**63) + b"{" + bytes(100),
    "safetensors nested": safetensors(b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}"),
    "safetensors of a terabyte": safetensors(
        b'{"a":{"dtype":"F32","shape":[%d],"data_offsets":[0,%d]}}' % (2**40, 2**42)
    ),
    "safetensors of no bytes": safetensors(
        b'{"a":{"dtype":"F32","shape":[%d],"data_offsets":[0,0]}}' % 2**40
    ),
}


def write_all(folder: Path) -> list[str]:
    """Writes every bomb under its number and returns their names."""
    for number, content in enumerate(BOMBS.values()):
        path = folder / f"{number:03}"
        path.write_bytes(content) if isinstance(content, bytes) else content(path)
    return list(BOMBS)
