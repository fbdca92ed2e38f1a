"""Lists the methods in a table: a new one is a file of its own and a row here."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pretrain.methods.options import ContrastOptions, MethodOptions, SupervisedOptions

if TYPE_CHECKING:
    from pretrain.methods.base import Method


@dataclass(frozen=True)
class Row:
    """A method: its options, and the class as "module:name", which is imported when a run begins."""

    options: type[MethodOptions]
    place: str


METHODS = {
    "queue": Row(ContrastOptions, "pretrain.methods.moco:MoCo"),
    "memory_bank": Row(ContrastOptions, "pretrain.methods.memory_bank:MemoryBank"),
    "end_to_end": Row(ContrastOptions, "pretrain.methods.end_to_end:EndToEnd"),
    "supervised": Row(SupervisedOptions, "pretrain.methods.supervised:Supervised"),
}


def method_class(name: str) -> type[Method[Any]]:
    """Imports the class of a method in the table."""
    module, _, found = METHODS[name].place.partition(":")
    return getattr(importlib.import_module(module), found)


def option_classes() -> list[type[MethodOptions]]:
    """The options of all methods, each class once, in the order of the table."""
    return list(dict.fromkeys(row.options for row in METHODS.values()))
