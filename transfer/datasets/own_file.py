"""Reads the `datasets:` block of a user's suite file: all data sets that it defines."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from transfer.datasets.coco.own import OwnDataset, block
from transfer.datasets.own_formats import define
from transfer.datasets.registry import dataset_names
from transfer.datasets.split import split_name
from transfer.errors import DataError
from transfer.recipes.plain_yaml import YamlError, parse_yaml, read_text


def own_datasets(definitions: Mapping[Any, Any], suite: Path) -> dict[str, OwnDataset]:
    """The data sets of a block that is read already, by name; DataError names the file and the key."""
    return {name: own_dataset(name, definition, suite) for name, definition in _texts(definitions).items()}


def own_dataset(name: str, definition: Any, suite: Path) -> OwnDataset:
    """Reads one definition of such a block; the names of public data sets are taken."""
    if name in dataset_names():
        raise DataError(f"{block(suite)}: {name} is the name of a public data set; choose another")
    if split_name(name)[1]:
        raise DataError(f"{block(suite)}: {name} would be the name of a part of a data set; choose another")
    return define(name, definition, suite)


def read_own_datasets(suite: Path) -> dict[str, OwnDataset]:
    """The data sets that a suite file defines; DataError where there is no such file, or no such block."""
    definitions = _read(suite).get("datasets")
    if not isinstance(definitions, Mapping) or not definitions:
        raise DataError(
            f"suite {suite}: it defines no data sets of its own (`datasets` is {definitions!r}); "
            "public ones are checked by name: python -m transfer.datasets check NAME --data-root DIR"
        )
    return own_datasets(definitions, suite)


def _texts(definitions: Mapping[Any, Any]) -> dict[str, Any]:
    return {str(name): definition for name, definition in definitions.items()}


def _read(path: Path) -> dict[str, Any]:
    try:
        content = parse_yaml(read_text(path))
    except OSError as error:
        raise DataError(f"--suite {path}: {error.strerror}; expected a suite file of yours") from None
    except YamlError as error:
        raise DataError(f"suite {path}: {error}") from None
    if not isinstance(content, dict):
        raise DataError(f"suite {path}: expected lines like `name: ...`, got {type(content).__name__}")
    return content
