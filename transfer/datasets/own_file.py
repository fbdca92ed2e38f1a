"""Reads the `datasets:` block of a user's suite file: all data sets that it defines."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from converters.command import spelled
from transfer.datasets.coco.own import OwnDataset, block
from transfer.datasets.image_list.own import OwnLabelled, define_labelled, is_labelled
from transfer.datasets.image_list.public.table import set_names
from transfer.datasets.own_formats import define
from transfer.datasets.registry import dataset_names
from transfer.datasets.split import split_name
from transfer.errors import DataError
from transfer.recipes.plain_yaml import YamlError, parse_yaml, read_text


def own_datasets(definitions: Mapping[Any, Any], suite: Path) -> dict[str, OwnDataset]:
    """The data sets of a block that is read already, by name; DataError names the file and the key.

    Labelled images (`format: labelled`) are no such sets: `own_labelled` has them.
    """
    texts = _texts(definitions).items()
    return {name: own_dataset(name, one, suite) for name, one in texts if not is_labelled(one)}


def own_labelled(definitions: Mapping[Any, Any], suite: Path) -> dict[str, OwnLabelled]:
    """The sets of labelled images of such a block, by name; DataError names the file and the key."""
    found = {}
    for name, definition in _texts(definitions).items():
        if is_labelled(definition):
            _check_name(name, suite)
            found[name] = define_labelled(name, definition, suite)
    return found


def own_dataset(name: str, definition: Any, suite: Path) -> OwnDataset:
    """Reads one definition of such a block; the names of public data sets are taken."""
    _check_name(name, suite)
    return define(name, definition, suite)


def _check_name(name: str, suite: Path) -> None:
    if name in dataset_names() or name in set_names():
        raise DataError(f"{block(suite)}: {name} is the name of a public data set; choose another")
    if split_name(name)[1]:
        raise DataError(f"{block(suite)}: {name} would be the name of a part of a data set; choose another")


def read_own_datasets(suite: Path) -> dict[str, OwnDataset]:
    """The data sets that a suite file defines; DataError where there is no such file, or no such block."""
    return own_datasets(_definitions(suite), suite)


def read_own_labelled(suite: Path) -> dict[str, OwnLabelled]:
    """The sets of labelled images that a suite file defines; DataError as above."""
    return own_labelled(_definitions(suite), suite)


def _definitions(suite: Path) -> Mapping[Any, Any]:
    definitions = _read(suite).get("datasets")
    if not isinstance(definitions, Mapping) or not definitions:
        raise DataError(
            f"suite {suite}: it defines no data sets of its own (`datasets` is {definitions!r}); "
            f"public ones are checked by name: {spelled('transfer.datasets', 'check NAME --data-root DIR')}"
        )
    return definitions


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
