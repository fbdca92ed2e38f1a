"""Reads the weights out of a TorchScript archive, a program with its data, without looking at the program."""

from __future__ import annotations

from typing import Any

from converters.containers.file_bytes import Checked, FileBytes
from converters.containers.pickles.inert import Inert
from converters.containers.tensors import StoredTensor
from converters.containers.torch_files import read_torch_zip
from converters.errors import CheckpointError

PROGRAM = (".py", ".debug_pkl")  # source texts and where they came from: compressed, and never opened here
COMPILED = "__torch__."  # begins the names of the archive's own classes, which are in its program
MAX_PARTS = 20_000


def read_torch_script(file: FileBytes) -> tuple[dict[str, StoredTensor], set[str], list[Checked]]:
    """The tensors of the archived module by their state dict names, foreign names, and the parts to check.

    CheckpointError if the archive holds no module.
    """
    module, foreign, checks, _ = read_torch_zip(file, PROGRAM)
    if type(module) is not Inert or not module.name.startswith(COMPILED):
        raise CheckpointError("a TorchScript archive without a module in it")
    return _tensors(module), {name for name in foreign if not name.startswith(COMPILED)}, checks


def _tensors(module: Inert) -> dict[str, StoredTensor]:
    """Parameters and buffers; each module's state has them beside its parts, all under their own names."""
    found: dict[str, StoredTensor] = {}
    queue: list[tuple[Any, str]] = [(module, "")]
    for visits in range(MAX_PARTS):
        if visits >= len(queue):
            return found
        part, prefix = queue[visits]
        state = part.state if type(part.state) is dict else {}
        for name, value in state.items():
            if type(name) is not str:
                continue
            if type(value) is StoredTensor and value.shape is not None:
                found[prefix + name] = value
            elif type(value) is Inert and value.name.startswith(COMPILED):
                queue.append((value, f"{prefix}{name}."))
    raise CheckpointError("a TorchScript archive with absurdly many parts")
