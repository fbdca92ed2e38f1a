"""Data sets of every task, read into Detectron2's standard dataset dicts; no engine and no torch in here.

The names below are imported when they are asked for: `python -m transfer.datasets` passes through this file
and must say in one line that numpy is missing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from transfer.datasets.base import Dataset
    from transfer.datasets.registry import dataset_names, describe_layout, load_dataset

__all__ = ["Dataset", "dataset_names", "describe_layout", "load_dataset"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from transfer.datasets import registry

    return getattr(registry, name)
