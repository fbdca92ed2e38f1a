"""Lists the methods: those of a class of their own in a table, those of the frame by the files in `rows`."""

from __future__ import annotations

import importlib
import pkgutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pretrain.methods import rows
from pretrain.methods.options import ContrastOptions, MethodOptions, SupervisedOptions
from pretrain.networks.convnext_sizes import is_convnext
from pretrain.networks.vit_sizes import is_vit

if TYPE_CHECKING:
    from pretrain.methods.base import Method
    from pretrain.methods.joint.published import Published


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


def joint_row(name: str, arch: str = "") -> Published:
    """Imports the row that a file in `rows` defines: its ROW, or its VIT for a vision transformer.

    A file may have one of them alone, which is then taken for every `arch`; `trains` says whether it fits.
    """
    file = importlib.import_module(f"{rows.__name__}.{name}")
    names = ("VIT", "ROW") if is_vit(arch) else ("ROW", "VIT")
    return next(getattr(file, name) for name in names if hasattr(file, name))


def trains(options: MethodOptions, arch: str) -> bool:
    """Whether a method with these options trains this network; those of MoCo's paper need BatchNorm.

    A ConvNeXt, which has none, is for rows that compare pooled features alone.
    """
    if is_convnext(arch) and getattr(options, "dense_head", "") != "none":
        return False
    return (getattr(options, "vit", None) is not None) == is_vit(arch)


def method_class(name: str) -> type[Method[Any]]:
    """Imports the class of a method."""
    place = joint_row(name).made_by if name in row_names() else METHODS[name].place
    module, _, found = place.partition(":")
    return getattr(importlib.import_module(module), found)


def option_classes() -> list[type[MethodOptions]]:
    """The options of the methods in the table, each class once, in the order of the table."""
    return list(dict.fromkeys(row.options for row in METHODS.values()))
