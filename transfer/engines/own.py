"""Builds a user's own module as a backbone, for both engines: his file is imported by its path.

This is the only place of the project where code is run that is not the project's or a library's. The user
names it on the command line (`--init NAME=own:FILE.py:CALLABLE`), and it runs only while it is what it was
when the cells were planned.
"""

from __future__ import annotations

import hashlib
import importlib.util
import math
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from torch import Tensor, nn
from yacs.config import CfgNode

from transfer.errors import TransferError
from transfer.recipes.architectures import architecture_of
from transfer.recipes.own import chosen
from transfer.recipes.resolve import flatten

SINGLE = "map"  # the name of a module's only map; several without names are map1, map2 ...


class OwnMaps(nn.Module):
    """(N, 3, H, W) -> the maps of a user's module by name; strides and channels are as they were measured."""

    size_divisibility: int

    def __init__(self, body: nn.Module, maps: Mapping[str, tuple[int, int]]):
        super().__init__()
        self.body = body
        self.strides = {name: stride for name, (stride, _) in maps.items()}
        self.channels = {name: channels for name, (_, channels) in maps.items()}
        self.size_divisibility = math.lcm(*self.strides.values())

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        found = maps_of(self.body, x)
        if lost := self.strides.keys() - found.keys():
            raise TransferError(
                f"own code: it gave no map {min(lost)!r} of {tuple(x.shape)}, as it did before"
            )
        return {name: found[name] for name in self.strides}


def maps_of(body: nn.Module, x: Tensor) -> dict[str, Tensor]:
    """Calls `features(x)` of a module, or the module itself; returns its maps by name, not yet looked at."""
    found: Any = getattr(body, "features", body)(x)
    if isinstance(found, Mapping):
        return {str(name): one for name, one in found.items()}
    if isinstance(found, list | tuple):
        return {f"{SINGLE}{number}": one for number, one in enumerate(found, 1)}
    return {SINGLE: found}


def build(cfg: CfgNode) -> OwnMaps:
    """Builds the user's module of a recipe as its callable makes it, with the maps that its neck takes.

    TransferError where the code is not what it was when the cell was planned, or fails.
    """
    flat = flatten(cfg)
    file = Path(str(flat.get("MODEL.OWN.FILE", "")))
    if not file.name:
        raise TransferError(
            "own code is run where --init NAME=own:FILE.py:CALLABLE names it, and nowhere else"
        )
    check_sources(file, flat["MODEL.OWN.SOURCES"])
    body = call(load(file, flat["MODEL.OWN.CODE"].rpartition(":")[2]), file)
    return OwnMaps(body, chosen(flat, architecture_of(flat).neck))


def check_sources(file: Path, sources: Iterable[str]) -> None:
    """Raises TransferError unless the files of the code are those with these lines of `source_line`."""
    for line in sources:
        name = line.split("  ", 1)[1]
        try:
            same = source_line(file.parent / name, file.parent) == line
        except OSError:
            same = False
        if not same:
            raise TransferError(
                f"{file.parent / name} changed or went since the cells were planned: another code is another "
                "cell; restore it, or start the command again"
            )


def source_line(path: Path, folder: Path) -> str:
    """A file's SHA-256 and its name below the folder, as `sha256sum` prints them."""
    return f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.relative_to(folder).as_posix()}"


def load(file: Path, name: str) -> Callable[[], Any]:
    """Imports the file by its path and returns its callable; once in a process. TransferError in one line."""
    module_name = f"own_code_{hashlib.sha256(str(file).encode()).hexdigest()[:16]}"
    if module_name not in sys.modules:
        spec = importlib.util.spec_from_file_location(module_name, file)
        if spec is None or spec.loader is None or not file.is_file():
            raise TransferError(f"{file}: no such Python file")
        module = sys.modules[module_name] = importlib.util.module_from_spec(spec)
        try:
            with telling(file, "cannot be imported"), _beside(file.parent):
                spec.loader.exec_module(module)
        except TransferError:
            del sys.modules[module_name]
            raise
    found = getattr(sys.modules[module_name], name, None)
    if not callable(found):
        there = "is not callable" if found is not None else "is not in it"
        raise TransferError(f"{file}: {name} {there}; it has {', '.join(_callables(module_name)) or 'none'}")
    return found


def call(make: Callable[[], Any], file: Path) -> nn.Module:
    """Calls the user's callable, which takes no arguments. TransferError unless it gives a module."""
    with telling(file, f"{getattr(make, '__name__', 'the callable')}() failed"), _beside(file.parent):
        body = make()
    if not isinstance(body, nn.Module):
        raise TransferError(f"{file}: the callable gave a {type(body).__name__}; expected a torch.nn.Module")
    return body


@contextmanager
def telling(file: Path, what: str) -> Iterator[None]:
    """Turns whatever the user's code raises into a TransferError of one line, with its line in his file."""
    try:
        yield
    except TransferError:  # it is one line already
        raise
    except (Exception, SystemExit) as error:
        lines = [f.lineno for f in traceback.extract_tb(error.__traceback__) if f.filename == str(file)]
        where = f"{file}:{lines[-1]}" if lines else f"{file}"
        says = " ".join(str(error).split())
        raise TransferError(f"{where}: {what}: {type(error).__name__}: {says:.300}") from error


@contextmanager
def _beside(folder: Path) -> Iterator[None]:
    """Lets the code import what lies beside it, as a script does, and nobody else."""
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        sys.path.remove(str(folder))


def _callables(module_name: str) -> list[str]:
    module: ModuleType = sys.modules[module_name]
    return [n for n, v in vars(module).items() if getattr(v, "__module__", "") == module_name and callable(v)]
