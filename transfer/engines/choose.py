"""Chooses the engine: the user's, or for `auto` the reference where it is importable."""

from __future__ import annotations

import importlib
import importlib.util
from typing import TYPE_CHECKING

from transfer.errors import TransferError

if TYPE_CHECKING:  # it imports torch, and a plan needs none
    from transfer.engines.base import Engine

ENGINES = ("detectron2", "torchvision")


def detectron2_found() -> bool:
    """Looks whether Detectron2 could be imported, and does not import it."""
    return importlib.util.find_spec("detectron2") is not None


def choose_engine(wanted: str) -> tuple[str, str]:
    """Returns the engine's name and a line that says why; TransferError for an unknown or absent one."""
    if wanted == "auto":
        if detectron2_found():
            return "detectron2", "engine: detectron2 (importable here)"
        return "torchvision", "engine: torchvision (the embedded one; Detectron2 is not importable here)"
    if wanted not in ENGINES:
        raise TransferError(f"--engine {wanted}: expected auto, {' or '.join(ENGINES)}")
    if wanted == "detectron2" and not detectron2_found():
        raise TransferError(
            "--engine detectron2: Detectron2 is not importable; install it by its own instructions, put a "
            "checkout on PYTHONPATH, or take --engine torchvision"
        )
    return wanted, f"engine: {wanted} (as asked)"


def load_engine(name: str) -> Engine:
    """Imports the engine with its library; TransferError where that cannot be imported."""
    try:
        module = importlib.import_module(f"transfer.engines.{name}.engine")
    except ImportError as error:
        raise TransferError(
            f"--engine {name}: its library cannot be imported ({error}); repair or reinstall it"
        ) from None
    engine: Engine = module.engine
    return engine
