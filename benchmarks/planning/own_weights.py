"""Reads the weights of a user's own module: a table of tensors by their names, and nothing of it is run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.planning.download import file_sha256
from converters.backbone import Backbone
from converters.containers.reading import open_file
from converters.containers.tensors import StoredTensor
from converters.errors import CheckpointError

DEPTH = 3  # tables within tables that are looked at
PARALLEL = "module."  # begins all names of a model that was saved from a wrapper of several processes


def read_weights(path: str | Path) -> dict[str, np.ndarray]:
    """The largest table of tensors of a checkpoint, whatever lies beside it; names as they stand in it.

    CheckpointError for a file that is none, is damaged or holds no such table.
    """
    opened = open_file(path)
    opened.verification.result()
    tables = [*_tables(opened.root, DEPTH)]
    if not tables:
        raise CheckpointError(f"{opened.path}: holds no table of tensors; save module.state_dict()")
    found, *rivals = (table for table in tables if len(table) == max(map(len, tables)))
    if rivals:
        raise CheckpointError(
            f"{opened.path}: holds {1 + len(rivals)} tables of {len(found)} tensors, as of a network and its "
            "average; save the state_dict() of the one that is meant alone"
        )
    cut = len(PARALLEL) if all(name.startswith(PARALLEL) for name in found) else 0
    try:
        return {name[cut:]: tensor.array() for name, tensor in found.items()}
    except CheckpointError as error:
        raise CheckpointError(f"{opened.path}: {error}") from None


def own_weights(path: str, manifest: Mapping[str, Any]) -> Backbone | None:
    """The weights of a cell on own code, None where its callable makes them all.

    CheckpointError where the file is not that with which the cell was planned.
    """
    if not path:
        return None
    if not Path(path).is_file() or file_sha256(Path(path)) != manifest["weights_sha256"]:
        raise CheckpointError(
            f"{path} changed or went since the cells were planned: other weights are another cell; restore "
            "it, or start the command again"
        )
    return Backbone(read_weights(path), dict(manifest))


def _tables(node: Any, depth: int) -> Iterator[Mapping[str, StoredTensor]]:
    """All tables within `node`, itself included, with the tensors that each of them holds directly."""
    if not isinstance(node, dict):
        return
    tensors = {name: each for name, each in node.items() if type(name) is str and type(each) is StoredTensor}
    if tensors:
        yield tensors
    for each in node.values() if depth else ():
        yield from _tables(each, depth - 1)
