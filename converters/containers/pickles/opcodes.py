"""Lists the pickle opcodes, each with its action on the reading machine (`m`). Any other is refused.

Refused on purpose: EXT1/2/4 (a process-wide registry of classes) and NEXT_BUFFER (bytes outside the file).
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any, Protocol

from converters.errors import CheckpointError

STOP = ord(".")
MAX_INTEGER_BYTES = 1_024  # random generator states need 16; nothing needs thousands
MAX_DIGITS = 2_400
HIGHEST_PROTOCOL = 5


class Reader(Protocol):
    """The parts of a reading machine that an opcode may use; `machine.Machine` is the one there is."""

    stack: list[Any]
    marks: list[int]  # places in the stack, the innermost last
    memo: dict[int, Any]

    # Arguments out of the byte stream: the next `size` bytes, or those before the next line feed.
    def take(self, size: int) -> memoryview: ...
    def unsigned(self, size: int) -> int: ...
    def signed(self, size: int) -> int: ...
    def line(self) -> str: ...
    def text(self, size: int) -> Any: ...
    def old_string(self, size: int) -> Any: ...
    def byte_string(self, size: int) -> Any: ...

    # The stack.
    def push(self, value: Any) -> None: ...
    def pop(self) -> Any: ...
    def top(self) -> Any: ...
    def mark(self) -> None: ...
    def pop_to_mark(self) -> list[Any]: ...

    # Objects, by name only, and the memo.
    def named(self, module: Any, name: Any) -> Any: ...
    def call(self, function: Any, args: Any) -> Any: ...
    def build(self, state: Any) -> None: ...
    def append(self, items: list[Any]) -> None: ...
    def set_items(self, items: list[Any]) -> None: ...
    def refer(self, identity: Any) -> Any: ...
    def remember(self, index: int) -> None: ...
    def recall(self, index: int) -> None: ...


def _protocol(m: Reader) -> None:
    version = m.unsigned(1)
    if version > HIGHEST_PROTOCOL:
        raise CheckpointError(f"pickle protocol {version}; the highest known is {HIGHEST_PROTOCOL}")


def _decimal(text: str) -> int:
    text = text.removesuffix("L")
    if len(text) > MAX_DIGITS:
        raise CheckpointError(f"an integer of {len(text)} digits")
    return int(text)


def _int_line(m: Reader) -> None:
    text = m.line()
    m.push({"00": False, "01": True}[text] if text in ("00", "01") else _decimal(text))


def _long(m: Reader, size: int) -> None:
    if size > MAX_INTEGER_BYTES or size < 0:
        raise CheckpointError(f"an integer of {size} bytes")
    m.push(m.signed(size))


def _quoted(m: Reader) -> None:
    text = m.line()
    if len(text) < 2 or text[0] != text[-1] or text[0] not in "'\"":
        raise CheckpointError("a protocol 0 string without quotes")
    m.push(text[1:-1].encode("utf-8").decode("unicode_escape"))


def _raw_unicode(m: Reader) -> None:
    m.push(m.line().encode("utf-8", "surrogatepass").decode("raw_unicode_escape"))


def _tuple(m: Reader, size: int) -> None:
    m.push(tuple(reversed([m.pop() for _ in range(size)])))


def _pairs_to_dict(m: Reader) -> None:
    items = m.pop_to_mark()
    m.push({})
    m.set_items(items)


def _set_item(m: Reader) -> None:
    value, key = m.pop(), m.pop()
    m.set_items([key, value])


def _set_items(m: Reader) -> None:
    m.set_items(m.pop_to_mark())


def _append(m: Reader) -> None:
    m.append([m.pop()])


def _append_all(m: Reader) -> None:
    m.append(m.pop_to_mark())


def _stack_global(m: Reader) -> None:
    name, module = m.pop(), m.pop()
    m.push(m.named(module, name))


def _global_line(m: Reader) -> None:
    module = m.line()
    m.push(m.named(module, m.line()))


def _instance_line(m: Reader) -> None:
    module = m.line()
    name = m.named(module, m.line())
    m.push(m.call(name, tuple(m.pop_to_mark())))


def _object(m: Reader) -> None:
    items = m.pop_to_mark()
    m.push(m.call(items[0], tuple(items[1:])))


def _reduce(m: Reader) -> None:
    args, function = m.pop(), m.pop()
    m.push(m.call(function, args))


def _new_object_keywords(m: Reader) -> None:
    keywords, args, cls = m.pop(), m.pop(), m.pop()
    if type(keywords) is not dict or type(args) is not tuple:
        raise CheckpointError("NEWOBJ_EX with arguments of the wrong kind")
    m.push(m.call(cls, (*args, keywords) if keywords else args))


def _build(m: Reader) -> None:
    m.build(m.pop())


def _pop(m: Reader) -> None:
    if m.marks and m.marks[-1] == len(m.stack):
        m.marks.pop()  # POP also removes a mark, as in the standard machine
    else:
        m.pop()


def _float(m: Reader) -> None:
    m.push(struct.unpack(">d", m.take(8))[0])


def _persistent_binary(m: Reader) -> None:
    m.push(m.refer(m.pop()))


# Sets are kept as lists: hashing hostile members can take for ever, and nothing is looked up in one.
ACTIONS: dict[int, Callable[[Reader], object]] = {
    ord(code): action
    for code, action in {
        "(": lambda m: m.mark(),
        "0": _pop,
        "1": lambda m: m.pop_to_mark(),
        "2": lambda m: m.push(m.top()),
        "\x80": _protocol,
        "\x95": lambda m: m.unsigned(8),  # FRAME: a hint for streaming readers
        # numbers
        "F": lambda m: m.push(float(m.line())),
        "I": _int_line,
        "L": lambda m: m.push(_decimal(m.line())),
        "J": lambda m: m.push(m.signed(4)),
        "K": lambda m: m.push(m.unsigned(1)),
        "M": lambda m: m.push(m.unsigned(2)),
        "G": _float,
        "\x8a": lambda m: _long(m, m.unsigned(1)),
        "\x8b": lambda m: _long(m, m.signed(4)),
        "N": lambda m: m.push(None),
        "\x88": lambda m: m.push(True),
        "\x89": lambda m: m.push(False),
        # text and bytes
        "S": _quoted,
        "T": lambda m: m.push(m.old_string(m.signed(4))),
        "U": lambda m: m.push(m.old_string(m.unsigned(1))),
        "V": _raw_unicode,
        "X": lambda m: m.push(m.text(m.unsigned(4))),
        "\x8c": lambda m: m.push(m.text(m.unsigned(1))),
        "\x8d": lambda m: m.push(m.text(m.unsigned(8))),
        "B": lambda m: m.push(m.byte_string(m.unsigned(4))),
        "C": lambda m: m.push(m.byte_string(m.unsigned(1))),
        "\x8e": lambda m: m.push(m.byte_string(m.unsigned(8))),
        "\x96": lambda m: m.push(m.byte_string(m.unsigned(8))),  # BYTEARRAY8
        "\x98": lambda m: m.top(),  # READONLY_BUFFER: ours are read only anyway
        # containers
        ")": lambda m: m.push(()),
        "t": lambda m: m.push(tuple(m.pop_to_mark())),
        "\x85": lambda m: _tuple(m, 1),
        "\x86": lambda m: _tuple(m, 2),
        "\x87": lambda m: _tuple(m, 3),
        "]": lambda m: m.push([]),
        "l": lambda m: m.push(m.pop_to_mark()),
        "a": _append,
        "e": _append_all,
        "}": lambda m: m.push({}),
        "d": _pairs_to_dict,
        "s": _set_item,
        "u": _set_items,
        "\x8f": lambda m: m.push([]),
        "\x90": _append_all,
        "\x91": lambda m: m.push(m.pop_to_mark()),
        # memo
        "p": lambda m: m.remember(_decimal(m.line())),
        "q": lambda m: m.remember(m.unsigned(1)),
        "r": lambda m: m.remember(m.unsigned(4)),
        "\x94": lambda m: m.remember(len(m.memo)),
        "g": lambda m: m.recall(_decimal(m.line())),
        "h": lambda m: m.recall(m.unsigned(1)),
        "j": lambda m: m.recall(m.unsigned(4)),
        # globals and instances: names only, see `allowed`
        "c": _global_line,
        "\x93": _stack_global,
        "R": _reduce,
        "\x81": _reduce,  # NEWOBJ: cls.__new__(cls, *args)
        "\x92": _new_object_keywords,
        "i": _instance_line,
        "o": _object,
        "b": _build,
        "P": lambda m: m.push(m.refer(m.line())),
        "Q": _persistent_binary,
    }.items()
}
