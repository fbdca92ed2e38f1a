"""Defines stand-ins for the objects of a pickle: names for its imports, placeholders for its instances."""

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
    """Stands for an instance of a class outside the closed table; its parts are kept, for their tensors."""

    __slots__ = ("args", "entries", "items", "maker", "name", "state")

    def __init__(self, name: str, args: Any, maker: Inert | None = None) -> None:
        self.name, self.args, self.maker = name, args, maker  # maker: the class, where that is inert itself
        self.state: Any = None
        self.items: list[Any] = []
        self.entries: dict[Any, Any] = {}


class Text:
    """A long unicode string, left undecoded: protocol 2 stores array bytes so, and few are needed."""

    __slots__ = ("utf8",)

    def __init__(self, utf8: memoryview) -> None:
        self.utf8 = utf8

    def characters(self) -> int:
        """Their number, counted without decoding: every byte of UTF-8 but 10xxxxxx starts a character."""
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


class OpaqueKey:
    """A key that is never looked up: a tuple, a float or a giant integer, hashed by identity."""

    __slots__ = ("key",)

    def __init__(self, key: Any) -> None:
        self.key = key


PLAIN_KEYS = (str, bytes, bool, type(None), Name, Inert)
HASH_MODULUS = (1 << 61) - 1  # from here on different integers can have one hash


def checked_key(key: Any) -> Any:
    """`key` when hashing it is cheap and safe, else a stand-in.

    A file can hold thousands of keys with one hash, which makes a dictionary quadratic, and a tuple doubled
    forty times, whose hash takes for ever. Text is safe: its hash has a secret.
    """
    if isinstance(key, PLAIN_KEYS) or (type(key) is int and abs(key) < HASH_MODULUS):
        return key
    if type(key) in (int, float, tuple):
        return OpaqueKey(key)
    raise CheckpointError(f"a {type(key).__name__} is used as a dictionary key; expected text or a number")
