"""What a pickle may turn into here: names instead of imported objects, and inert placeholders instead of
instances.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from converters.errors import CheckpointError


class Name:
    """A global that the pickle asks for. It is never looked up, imported or called."""

    __slots__ = ("module", "name")

    def __init__(self, module: str, name: str) -> None:
        self.module, self.name = module, name

    @property
    def dotted(self) -> str:
        return f"{self.module}.{self.name}"


class Inert:
    """Stands for an instance of a class outside the closed table; keeps its parts so that tensors inside are
    found.
    """

    __slots__ = ("args", "entries", "items", "maker", "name", "state")

    def __init__(self, name: str, args: Any, maker: Inert | None = None) -> None:
        self.name, self.args, self.maker = name, args, maker  # maker: the class, where that is inert itself
        self.state: Any = None
        self.items: list[Any] = []
        self.entries: dict[Any, Any] = {}


class Text:
    """A long unicode string, left undecoded: protocol 2 stores array bytes this way, and most are never
    needed.
    """

    __slots__ = ("utf8",)

    def __init__(self, utf8: memoryview) -> None:
        self.utf8 = utf8

    def characters(self) -> int:
        """Counted without decoding: all bytes of UTF-8 but the continuation bytes 10xxxxxx start a
        character."""
        return int(np.count_nonzero((np.frombuffer(self.utf8, np.uint8) & 0xC0) != 0x80))

    def latin1_bytes(self) -> bytes:
        return bytes(self.utf8).decode("utf-8").encode("latin-1")


class LatinBytes:
    """The bytes that `codecs.encode(text, 'latin1')` would give, made when they are asked for."""

    __slots__ = ("size", "text")

    def __init__(self, text: Text, size: int) -> None:
        self.text, self.size = text, size


class ElementType:
    """A numpy dtype as far as numbers go: a kind with its size, and whether bytes must be swapped."""

    __slots__ = ("code", "swap")

    def __init__(self, code: str) -> None:
        self.code, self.swap = code, False


SCALARS = (str, int, float, bool, bytes, type(None), Name, Inert)


def checked_key(key: Any) -> Any:
    """`key` when it is cheap to hash. Nested tuples are not: hashing (t, t) forty levels deep takes for
    ever."""
    if isinstance(key, SCALARS):
        return key
    if type(key) is tuple and len(key) <= 16 and all(isinstance(part, SCALARS) for part in key):
        return key
    raise CheckpointError(
        f"a {type(key).__name__} is used as a dictionary key; expected a string or a number"
    )
