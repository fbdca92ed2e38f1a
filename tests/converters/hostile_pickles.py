"""Hand-made hostile pickles: every opcode that calls, builds or refers, aimed at everything that does harm.

Nothing here is ever unpickled by Python. `MARKER` is what a payload would leave behind if it ran.
"""

from __future__ import annotations

import pickle
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

MARKER = "hostile-payload-ran"
COMMAND = f"touch {MARKER}"
CODE = f"open({MARKER!r}, 'w').close()"

# Callables that run code, touch files, open sockets or load pickles; many from scanner bypass reports.
TARGETS: tuple[tuple[str, str, str], ...] = (
    ("os", "system", COMMAND),
    ("posix", "system", COMMAND),
    ("nt", "system", COMMAND),
    ("os", "popen", COMMAND),
    ("os", "remove", MARKER),
    ("subprocess", "Popen", COMMAND),
    ("subprocess", "check_output", COMMAND),
    ("builtins", "eval", CODE),
    ("builtins", "exec", CODE),
    ("__builtin__", "eval", CODE),
    ("builtins", "open", MARKER),
    ("builtins", "__import__", "antigravity"),
    ("builtins", "compile", CODE),
    ("importlib", "import_module", "antigravity"),
    ("pkgutil", "resolve_name", "os:system"),
    ("operator", "methodcaller", "system"),
    ("inspect", "getattr_static", "system"),
    ("runpy", "run_path", "payload.py"),
    ("pickle", "loads", "cos\nsystem\n."),
    ("_pickle", "loads", "cos\nsystem\n."),
    ("marshal", "loads", "x"),
    ("numpy", "load", MARKER),
    ("numpy.testing._private.utils", "runstring", CODE),
    ("torch", "load", MARKER),
    ("torch.hub", "load", MARKER),
    ("torch.jit", "load", MARKER),
    ("torch.storage", "_load_from_bytes", "x"),
    ("ctypes", "CDLL", "libc.so.6"),
    ("socket", "create_connection", "localhost"),
    ("urllib.request", "urlopen", "file:///etc/hostname"),
    ("webbrowser", "open", "file:///"),
    ("shutil", "rmtree", MARKER),
    ("pathlib", "Path.write_text", MARKER),
    ("timeit", "timeit", CODE),
    ("cProfile", "run", CODE),
    ("code", "interact", CODE),
    ("pty", "spawn", COMMAND),
    ("sys", "exit", "1"),
    ("functools", "partial", "x"),
    ("types", "CodeType", "x"),
)
Wrap = Callable[[bytes, Path], Path]


def text(value: str) -> bytes:
    raw = value.encode()
    return b"X" + struct.pack("<I", len(raw)) + raw


def short(value: str) -> bytes:
    return b"\x8c" + bytes([len(value)]) + value.encode()


def glob(module: str, name: str) -> bytes:
    return f"c{module}\n{name}\n".encode()


# One row per way in which a pickle calls or touches an object; `{}` of other formats would be less readable.
CALLS: dict[str, Callable[[str, str, str], bytes]] = {
    "reduce-0": lambda m, n, a: glob(m, n) + f"(V{a}\ntR.".encode("raw_unicode_escape"),
    "reduce-2": lambda m, n, a: b"\x80\x02" + glob(m, n) + text(a) + b"\x85R.",
    "reduce-4": lambda m, n, a: b"\x80\x04" + short(m) + short(n) + b"\x93" + text(a) + b"\x85R.",
    "newobj": lambda m, n, a: b"\x80\x02" + glob(m, n) + text(a) + b"\x85\x81.",
    "newobj-ex": lambda m, n, a: b"\x80\x04" + glob(m, n) + text(a) + b"\x85}\x92.",
    "obj": lambda m, n, a: b"(" + glob(m, n) + text(a) + b"o.",
    "inst": lambda m, n, a: b"(" + text(a) + f"i{m}\n{n}\n.".encode(),
    "build-class": lambda m, n, a: (
        b"\x80\x02" + glob(m, n) + b")\x81}" + text("__class__") + glob(m, n) + b"sb."
    ),
    "build-setstate": lambda m, n, a: (
        b"\x80\x02ccollections\nOrderedDict\n)R}"
        + text("__setstate__")
        + glob(m, n)
        + b"sb"
        + text(a)
        + b"b."
    ),
    "popped": lambda m, n, a: b"\x80\x02" + glob(m, n) + text(a) + b"\x85R0N.",
    "memo": lambda m, n, a: (
        b"\x80\x02" + glob("torch", "Size") + b"q\x000" + glob(m, n) + b"q\x000h\x00" + text(a) + b"\x85R."
    ),
    "as-storage-type": lambda m, n, a: (
        b"\x80\x02(" + text("storage") + glob(m, n) + text("0") + text("cpu") + b"K\x04tQ."
    ),
    "as-rebuild": lambda m, n, a: (
        b"\x80\x02ctorch._tensor\n_rebuild_from_type_v2\n(" + glob(m, n) + glob(m, n) + text(a) + b"\x85}tR."
    ),
    "as-device-array": lambda m, n, a: (
        b"\x80\x02cjax._src.array\n_reconstruct_array\n(" + glob(m, n) + text(a) + b"\x85Ntq\x01R."
    ),
    "appends": lambda m, n, a: b"\x80\x02" + glob(m, n) + b")R(" + text(a) + b"eK\x01K\x02s.",
    "twice": lambda m, n, a: b"\x80\x02" + glob(m, n) + text("x") + b"\x85R" + text(a) + b"\x85R.",
}


def plain(payload: bytes, folder: Path) -> Path:
    path = folder / "hostile.pkl"
    path.write_bytes(payload)
    return path


def zipped(payload: bytes, folder: Path) -> Path:
    path = folder / "hostile.pth"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", payload)
        archive.writestr("archive/data/0", bytes(16))
    return path


def legacy(payload: bytes, folder: Path) -> Path:
    path = folder / "hostile.pt"
    head = (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True, "protocol_version": 1001})
    keys = pickle.dumps(["0"] if b"storage" in payload else [], protocol=2)
    path.write_bytes(b"".join(pickle.dumps(part, protocol=2) for part in head) + payload + keys)
    return path


WRAPS: dict[str, Wrap] = {"pickle": plain, "zip": zipped, "legacy": legacy}


def _array(dtype: bytes, raw: bytes, shape: bytes = b"K\x01\x85") -> bytes:
    return (
        b"\x80\x02cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R(K\x01"
        + shape
        + b"cnumpy\ndtype\n"
        + dtype
        + b"K\x00K\x01\x87R\x89"
        + raw
        + b"tb."
    )


def _tensor(count: int, size: bytes, stride: bytes, offset: bytes = b"K\x00") -> bytes:
    storage = b"(" + text("storage") + b"ctorch\nFloatStorage\n" + text("0") + text("cpu")
    storage += b"\x8a\x08" + count.to_bytes(8, "little", signed=True) + b"tQ"
    return b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n(" + storage + offset + size + stride + b"\x89}tR."


BIG = b"\x8a\x08" + (2**62).to_bytes(8, "little")
# Replicas of published bypasses and broken promises that are not plain calls.
REPLICAS: dict[str, bytes] = {
    "extension registry 1": b"\x80\x02\x82\x01.",
    "extension registry 2": b"\x80\x02\x83\x01\x00.",
    "extension registry 4": b"\x80\x02\x84\x01\x00\x00\x00.",
    "persistent id of text": b"Pmodule\n.",
    "persistent id of a call": b"\x80\x02cos\nsystem\n" + text(COMMAND) + b"\x85RQ.",
    "persistent module with source": b"\x80\x02("
    + text("module")
    + glob("os", "system")
    + text("x.py")
    + text(CODE)
    + b"tQ.",
    "buffer outside the file": b"\x80\x05\x97.",
    "protocol 6": b"\x80\x06N.",
    "unknown opcode": b"\x80\x02\xff.",
    "object array": _array(text("O8"), b"]" + glob("os", "system") + b"a"),
    "record dtype": _array(text("V16"), text("x" * 16)),
    "array of calls as bytes": _array(text("f4"), glob("os", "system") + text(COMMAND) + b"\x85R"),
    "array larger than its bytes": _array(text("f4"), text("abcd"), b"J\xff\xff\xff\x7f\x85"),
    "array of negative size": _array(text("f4"), text("abcd"), b"J\xff\xff\xff\xff\x85"),
    "array of text size": _array(text("f4"), text("abcd"), text("x") + b"\x85"),
    "storage larger than the file": _tensor(2**40, b"K\x01\x85", b"K\x01\x85"),
    "storage of negative size": _tensor(-1, b"K\x01\x85", b"K\x01\x85"),
    "stride outside the storage": _tensor(4, b"K\x02\x85", b"J\xff\xff\xff\x7f\x85"),
    "offset outside the storage": _tensor(4, b"K\x02\x85", b"K\x01\x85", b"K\x64"),
    "negative offset": _tensor(4, b"K\x02\x85", b"K\x01\x85", b"J\xff\xff\xff\xff"),
    "negative stride": _tensor(4, b"K\x02\x85", b"J\xff\xff\xff\xff\x85"),
    "broadcast of one element": _tensor(4, BIG + b"\x85", b"K\x00\x85"),
    "more strides than sizes": _tensor(4, b"K\x02\x85", b"K\x01K\x01\x86"),
    "sparse tensor": b"\x80\x02ctorch._utils\n_rebuild_sparse_tensor\n(ctorch\nsparse_csr\nNtR.",
    "sparse indices": b"\x80\x02ctorch._utils\n_rebuild_sparse_csr_tensor\n(NtR.",
    "rebuild without storage": b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n(NK\x00))\x89}tR.",
    "rebuild with too few": b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n)R.",
    "rebuild as a class": b"\x80\x02ctorch._utils\n_rebuild_parameter\n)\x81.",
    "codec that runs": b"\x80\x02c_codecs\nencode\n" + text("x") + text("unicode_escape") + b"\x86R.",
    "codec by import": b"\x80\x02c_codecs\nencode\n" + text("x") + text("antigravity") + b"\x86R.",
    "bytearray of a terabyte": b"\x80\x02cbuiltins\nbytearray\n" + BIG + b"\x85R.",
    "bytes of a terabyte": b"\x80\x02cbuiltins\nbytes\n" + BIG + b"\x85R.",
    "size of a list of calls": b"\x80\x02ctorch\nSize\n](cos\nsystem\ne\x85R.",
    "default factory": b"\x80\x02ccollections\ndefaultdict\ncos\nsystem\n\x85R" + text("x") + b"Ns.",
    "ordered dict of pairs": b"\x80\x02ccollections\nOrderedDict\n](](cos\nsystem\nNee\x85R.",
    "reconstructor": b"\x80\x02ccopyreg\n_reconstructor\n(cos\nsystem\ncbuiltins\nobject\nNtR.",
    "global of a dotted name": b"\x80\x04"
    + short("os")
    + short("path.os.system")
    + b"\x93"
    + text("x")
    + b"\x85R.",
    "global with a number": b"\x80\x04K\x01K\x02\x93.",
    "call of text": b"\x80\x02" + text("os.system") + text(COMMAND) + b"\x85R.",
    "call of a dictionary": b"\x80\x02})R.",
    "state of a number": b"\x80\x02K\x01}b.",
    "key that is a list": b"\x80\x02}]Ns.",
    "key that is a dictionary": b"\x80\x02}}Ns.",
    "stack underflow": b"\x80\x02R.",
    "pop across a mark": b"\x80\x02K\x01(0a.",
    "tuple across a mark": b"\x80\x02K\x01(\x85.",
    "two objects left": b"\x80\x02NN.",
    "mark left": b"\x80\x02N(.",
    "memo never written": b"\x80\x02h\x07.",
    "quoted string open": b"S'abc\n.",
    "number that is none": b"Iabc\n.",
    "float that is none": b"Fabc\n.",
    "text that is no utf-8": b"\x80\x02X\x02\x00\x00\x00\xff\xfe.",
    "name that is no utf-8": b"\x80\x02c\xff\xfe\n\xff\n.",
    "nothing at all": b".",
    "no end": b"\x80\x02}",
}
