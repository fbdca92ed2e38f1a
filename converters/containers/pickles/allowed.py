"""Lists in a closed table the only globals of a pickle that mean anything here, each with its builder.

Everything else becomes `Inert`. Nothing in this file imports or calls what a pickle names.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from converters.containers.pickles.inert import ElementType, Inert, LatinBytes, Name, Text
from converters.containers.tensors import DTYPES, StoredTensor, fortran_strides, item_size
from converters.errors import CheckpointError

ELEMENT = re.compile(r"[fiu][1248]|b1")


def call(function: Any, args: tuple) -> Any:
    """Stands for REDUCE, NEWOBJ, INST and OBJ: gives a table entry's value, or a placeholder."""
    if type(function) is Inert:
        return Inert(f"{function.name}()", args, function)
    if type(function) is not Name:
        raise CheckpointError(f"call of a {type(function).__name__}")
    entry = TABLE.get(function.dotted)
    return entry(function.dotted, *args) if entry else Inert(function.dotted, args)


def build(target: Any, state: Any) -> None:
    """Stands for BUILD: fills an array or element type, keeps a placeholder's state as plain data."""
    if type(target) is Inert:
        target.state = state
    elif type(target) is StoredTensor:
        if target.shape is None:
            _fill_array(target, state)
    elif type(target) is ElementType:
        if type(state) is not tuple or len(state) < 2:
            raise CheckpointError("element type with a malformed state")
        target.swap = state[1] == ">"
    elif type(target) is not dict:  # attributes of an OrderedDict (torch's _metadata) carry no weights
        raise CheckpointError(f"state set on a {type(target).__name__}")


def _mapping(name: str, *args: Any) -> dict:
    """OrderedDict and defaultdict; protocol 0 and 1 give the pairs as an argument."""
    pairs = args[0] if args and type(args[0]) is list else []
    if any(type(pair) not in (list, tuple) or len(pair) != 2 or type(pair[0]) is not str for pair in pairs):
        raise CheckpointError(f"{name} with malformed pairs")
    return {pair[0]: pair[1] for pair in pairs}


def _encoded(name: str, text: Any = "", encoding: Any = "", *_: Any) -> Any:
    if encoding not in ("latin1", "latin-1"):
        return Inert(name, (text, encoding))
    if type(text) is Text:
        return LatinBytes(text, text.characters())
    if type(text) is not str:
        raise CheckpointError(f"{name} of a {type(text).__name__}")
    return text.encode("latin-1")


def _byte_string(name: str, value: Any = b"", *rest: Any) -> Any:
    if type(value) in (bytes, memoryview, LatinBytes):
        return value
    return _encoded(name, value, *rest) if rest else Inert(name, (value,))


# numpy


def _element_type(name: str, code: Any = "", *_: Any) -> Any:
    if type(code) is not str or not ELEMENT.fullmatch(code.lstrip("<>=|")):
        return Inert(name, (code,))
    element = ElementType(code.lstrip("<>=|"))
    element.swap = code.startswith(">")
    return element


def _empty_array(name: str, *args: Any) -> StoredTensor:
    return StoredTensor()


def _fill_array(target: StoredTensor, state: Any) -> None:
    if type(state) is not tuple or len(state) != 5:
        raise CheckpointError("array with a malformed state")
    _, shape, element, fortran, raw = state
    if type(element) is not ElementType or type(shape) is not tuple:
        return  # strings, objects and records: not weights, stays empty
    if type(raw) is str:
        raw = raw.encode("latin-1")
    _place_bytes(target, shape, element, bool(fortran), raw)


def _place_bytes(
    target: StoredTensor, shape: tuple, element: ElementType, fortran: bool, raw: Any
) -> StoredTensor:
    if type(raw) is LatinBytes:
        size, text = raw.size, raw.text

        def read(start: int, stop: int) -> Any:
            return text.latin1_bytes()[start:stop]

    elif type(raw) in (bytes, memoryview):
        size, view = len(raw), memoryview(raw)

        def read(start: int, stop: int) -> Any:
            return view[start:stop]

    else:
        raise CheckpointError(f"array whose bytes are a {type(raw).__name__}")
    strides = fortran_strides(shape) if fortran else None
    return target.place(shape, element.code, read, size, strides=strides, swap=element.swap, key=id(raw))


def _array_from_buffer(
    name: str, raw: Any, element: Any, shape: Any, order: Any = "C", *_: Any
) -> StoredTensor:
    """Protocol 5's form of an array, with the bytes in the pickle itself."""
    target = StoredTensor()
    if type(element) is not ElementType or type(shape) is not tuple:
        return target
    return _place_bytes(target, shape, element, order == "F", raw)


def _scalar(name: str, element: Any = None, raw: Any = None, *_: Any) -> Any:
    if type(raw) is str:
        raw = raw.encode("latin-1")
    if type(element) is not ElementType or type(raw) is not bytes or len(raw) != item_size(element.code):
        return Inert(name, (element,))
    array = _place_bytes(StoredTensor(), (), element, False, raw).array()
    return array.item()


# torch


class Storage:
    """A torch storage as the container describes it: element type, bytes and how to read them."""

    __slots__ = ("dtype", "key", "read", "size", "swap")

    def __init__(
        self, dtype: str, key: Any, size: int, read: Callable[[int, int], Any], swap: bool = False
    ) -> None:
        self.dtype, self.key, self.size, self.read, self.swap = dtype, key, size, read, swap


def storage_dtype(kind: Any) -> str:
    """The element type of `torch.FloatStorage` and its like; "" for one that no weight uses."""
    if type(kind) is not Name or kind.module not in ("torch", "torch.cuda", "torch.storage"):
        raise CheckpointError("a storage whose type is not torch's")
    return (
        "u1" if kind.name == "UntypedStorage" else DTYPES.get(kind.name.removesuffix("Storage").lower(), "")
    )


def _tensor(name: str, storage: Any, offset: Any, shape: Any, strides: Any, *rest: Any) -> Any:
    if type(storage) is not Storage or type(shape) is not tuple or type(strides) is not tuple:
        raise CheckpointError(f"{name} without a storage, shape and strides")
    dtype = storage.dtype
    if name.endswith("_v3") and len(rest) >= 3 and type(rest[2]) is Name:
        dtype = DTYPES.get(rest[2].name, "")
    if not dtype:
        return Inert(f"{name} of an element type that is no weight", ())
    if type(offset) is not int:
        raise CheckpointError(f"{name} with an offset that is no number")
    return StoredTensor().place(
        shape,
        dtype,
        storage.read,
        storage.size,
        strides=strides,
        offset=offset,
        swap=storage.swap,
        key=storage.key,
    )


def _parameter(name: str, data: Any, *_: Any) -> Any:
    return data


def _typed(name: str, function: Any, cls: Any, args: Any, *_: Any) -> Any:
    """A tensor subclass: the data without the class, where a rebuild function of this table made it."""
    if type(function) is Name and function.dotted in REBUILDS and type(args) is tuple:
        return REBUILDS[function.dotted](function.dotted, *args)
    return Inert(name, (function, cls))


def _device_array(name: str, function: Any, args: Any, state: Any, *_: Any) -> StoredTensor:
    """jax's array: a numpy array's own three parts, handed over as arguments."""
    target = StoredTensor()
    _fill_array(target, state)
    return target


REBUILDS: dict[str, Callable[..., Any]] = {
    "torch._utils._rebuild_tensor": _tensor,
    "torch._utils._rebuild_tensor_v2": _tensor,
    "torch._utils._rebuild_tensor_v3": _tensor,
    "torch._utils._rebuild_parameter": _parameter,
    "torch._utils._rebuild_parameter_with_state": _parameter,
}
TABLE: dict[str, Callable[..., Any]] = {
    **REBUILDS,
    "torch._tensor._rebuild_from_type_v2": _typed,
    "torch.Size": lambda name, *args: tuple(args[0]) if args and type(args[0]) in (list, tuple) else (),
    "collections.OrderedDict": _mapping,
    "collections.defaultdict": _mapping,
    "_codecs.encode": _encoded,
    "builtins.bytes": _byte_string,
    "__builtin__.bytes": _byte_string,
    "builtins.bytearray": _byte_string,
    "__builtin__.bytearray": _byte_string,
    "numpy.dtype": _element_type,
    "numpy.core.multiarray._reconstruct": _empty_array,
    "numpy._core.multiarray._reconstruct": _empty_array,
    "numpy.core.multiarray.scalar": _scalar,
    "numpy._core.multiarray.scalar": _scalar,
    "numpy.core.numeric._frombuffer": _array_from_buffer,
    "numpy._core.numeric._frombuffer": _array_from_buffer,
    "jax.interpreters.xla.reconstruct_device_array": _device_array,
    "jax._src.device_array.reconstruct_device_array": _device_array,
    "jax._src.array._reconstruct_array": _device_array,
}
