"""Reads a pickle but imports and calls nothing: builds containers, numbers, text, described tensors.

It knows all protocols, 0 to 5. Globals become `Name`, instances outside the closed table of `allowed` become
`Inert`. The limits below bound opcodes, nesting, time and, with them, memory: nothing is allocated that the
file does not contain.
"""

from __future__ import annotations

import struct
import time
from collections.abc import Callable
from typing import Any

from converters.containers.pickles.allowed import build, call
from converters.containers.pickles.foreign import code_warning, is_harmless
from converters.containers.pickles.inert import Inert, Name, Text, checked_key
from converters.containers.pickles.opcodes import ACTIONS, STOP
from converters.errors import CheckpointError

MAX_OPCODES = 300_000  # an R152 with query, key and optimizer needs about 100,000
MAX_MARKS = 1_000
MAX_SECONDS = 20.0
LONG_DATA = 4_096  # longer strings stay views of the file

Persistent = Callable[[Any], Any]


def read_pickle(
    data: memoryview, start: int = 0, persistent: Persistent | None = None
) -> tuple[Any, int, set[str]]:
    """The object, the position after STOP, and the foreign names: dotted, outside the closed table.

    A name counts as foreign if the pickle built something of it, or named it and it is no harmless data type.
    Raises CheckpointError with the byte position for anything malformed, unsupported or above a limit.
    """
    machine = Machine(data, start, persistent)
    try:
        value = machine.run()
    except CheckpointError as error:
        raise CheckpointError(f"pickle refused at byte {machine.here}: {error}{_seen(machine)}") from None
    except (
        IndexError,
        KeyError,
        ValueError,
        TypeError,
        AttributeError,
        OverflowError,
        struct.error,
    ) as error:
        raise CheckpointError(f"malformed pickle at byte {machine.here}: {error}{_seen(machine)}") from None
    return value, machine.position, machine.foreign


def _seen(machine: Machine) -> str:
    warning = code_warning(machine.foreign)
    return f"; {warning}" if warning else ""


class Machine:
    """The state of one reading: the place in the bytes, stack, marks, memo, and the foreign names so far."""

    def __init__(self, data: memoryview, start: int, persistent: Persistent | None) -> None:
        self.data, self.position, self.here = data, start, start
        self.persistent = persistent
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self.memo: dict[int, Any] = {}
        self.foreign: set[str] = set()
        self.deadline = time.monotonic() + MAX_SECONDS

    def run(self) -> Any:
        data, end = self.data, len(self.data)
        for count in range(MAX_OPCODES):
            if not count & 0x3FF:
                self.check_time()
            self.here = self.position
            if self.here >= end:
                raise CheckpointError("the file ends in the middle of the pickle (truncated)")
            opcode = data[self.here]
            self.position = self.here + 1
            if opcode == STOP:
                if len(self.stack) != 1:
                    raise CheckpointError(f"{len(self.stack)} objects on the stack at the end; expected 1")
                return self.stack.pop()
            action = ACTIONS.get(opcode)
            if action is None:
                raise CheckpointError(f"opcode {opcode:#04x} is unknown or unsupported")
            action(self)
        raise CheckpointError(
            f"more than {MAX_OPCODES:,} opcodes; save the state dict alone and convert that"
        )

    def check_time(self) -> None:
        if time.monotonic() > self.deadline:
            raise CheckpointError(f"reading takes more than {MAX_SECONDS:.0f} s; save the state dict alone")

    # Arguments in the byte stream

    def take(self, size: int) -> memoryview:
        start, stop = self.position, self.position + size
        if size < 0 or stop > len(self.data):
            raise CheckpointError(
                f"{size} bytes announced, {len(self.data) - start} left (truncated or forged)"
            )
        self.position = stop
        return self.data[start:stop]

    def unsigned(self, size: int) -> int:
        return int.from_bytes(self.take(size), "little")

    def signed(self, size: int) -> int:
        return int.from_bytes(self.take(size), "little", signed=True)

    def line(self) -> str:
        window, rest = 256, len(self.data) - self.position
        while True:
            chunk = bytes(self.data[self.position : self.position + window])
            size = chunk.find(b"\n")
            if size >= 0:
                self.position += size + 1
                return chunk[:size].decode("utf-8")
            if window >= rest:
                raise CheckpointError("text argument without an end of line")
            window *= 16

    # Stack

    def push(self, value: Any) -> None:
        self.stack.append(value)

    def pop(self) -> Any:
        if self.marks and self.marks[-1] >= len(self.stack):
            raise CheckpointError("pop across a mark")
        return self.stack.pop()

    def mark(self) -> None:
        if len(self.marks) >= MAX_MARKS:
            raise CheckpointError(f"more than {MAX_MARKS} open marks")
        self.marks.append(len(self.stack))

    def pop_to_mark(self) -> list[Any]:
        if not self.marks:
            raise CheckpointError("no open mark")
        start = self.marks.pop()
        items = self.stack[start:]
        del self.stack[start:]
        return items

    def top(self) -> Any:
        if not self.stack or (self.marks and self.marks[-1] >= len(self.stack)):
            raise CheckpointError("empty stack")
        return self.stack[-1]

    # Objects

    def named(self, module: Any, name: Any) -> Name:
        if type(module) is not str or type(name) is not str:
            raise CheckpointError("a global whose name is not text")
        named = Name(module, name)
        if not is_harmless(named.dotted):
            self.foreign.add(named.dotted)
        return named

    def call(self, function: Any, args: Any) -> Any:
        if type(args) is not tuple:
            raise CheckpointError("call whose arguments are not a tuple")
        value = call(function, args)
        if type(value) is Inert:
            self.foreign.add(value.name)
        return value

    def build(self, state: Any) -> None:
        build(self.top(), state)

    def append(self, items: list[Any]) -> None:
        target = self.top()
        if type(target) is list:
            target.extend(items)
        elif type(target) is Inert:
            target.items.extend(items)
        else:
            raise CheckpointError(f"append to a {type(target).__name__}")

    def set_items(self, items: list[Any]) -> None:
        target = self.top()
        entries = target.entries if type(target) is Inert else target
        if type(entries) is not dict or len(items) % 2:
            raise CheckpointError(f"items set on a {type(target).__name__}")
        for index in range(0, len(items), 2):
            if not index & 0xFF:
                self.check_time()  # keys with equal hashes make a dictionary quadratic
            entries[checked_key(items[index])] = items[index + 1]

    def text(self, size: int) -> Any:
        view = self.take(size)
        return str(view, "utf-8", "surrogatepass") if size <= LONG_DATA else Text(view)

    def old_string(self, size: int) -> Any:
        """A Python 2 `str`: text in Latin-1 when short (as Detectron2 reads it), array bytes when long."""
        view = self.take(size)
        return str(view, "latin-1") if size <= LONG_DATA else view

    def byte_string(self, size: int) -> Any:
        view = self.take(size)
        return bytes(view) if size <= LONG_DATA else view

    def remember(self, index: int) -> None:
        if index < 0:
            raise CheckpointError("negative memo index")
        self.memo[index] = self.top()

    def recall(self, index: int) -> None:
        if index not in self.memo:
            raise CheckpointError(f"memo {index} is read before it is written")
        self.push(self.memo[index])

    def refer(self, identity: Any) -> Any:
        if self.persistent is None:
            raise CheckpointError(
                "a reference outside the pickle, as in torch files, but this is a plain pickle"
            )
        return self.persistent(identity)
