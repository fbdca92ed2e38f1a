"""Lists the methods: those of a class of their own in a table, those of the frame by the files in `rows`."""

from __future__ import annotations

import importlib
import pkgutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pretrain.methods import rows
from pretrain.methods.options import ContrastOptions, MethodOptions, SupervisedOptions

if TYPE_CHECKING:
    from pretrain.methods.base import Method
    from pretrain.methods.joint.row import Row as JointRow


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
FRAME = "pretrain.methods.joint.frame:JointEmbedding"  # the class of all rows
# A method of the table with other defaults: the published commands. Its files are those of the method.
PRESETS: dict[str, dict[str, Any]] = {
    "moco_v1": {"mechanism": "queue"},
    "moco_v2": {"mechanism": "queue", "mlp": True, "aug_plus": True, "cos": True, "moco_t": 0.2},
}


def row_names() -> list[str]:
    """The methods of the frame: the names of the files in `rows`, none of which is imported."""
    return sorted(found.name for found in pkgutil.iter_modules(rows.__path__))


def method_names() -> tuple[str, ...]:
    """All names that a run may be given."""
    return (*METHODS, *PRESETS, *row_names())


def joint_row(name: str) -> JointRow:
    """Imports the row of the frame that a file in `rows` defines."""
    return importlib.import_module(f"{rows.__name__}.{name}").ROW


def method_class(name: str) -> type[Method[Any]]:
    """Imports the class of a method."""
    place = FRAME if name in row_names() else METHODS[name].place
    module, _, found = place.partition(":")
    return getattr(importlib.import_module(module), found)


def option_classes() -> list[type[MethodOptions]]:
    """The options of the methods in the table, each class once, in the order of the table."""
    return list(dict.fromkeys(row.options for row in METHODS.values()))
