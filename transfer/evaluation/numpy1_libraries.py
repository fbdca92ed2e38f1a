"""Loads lvis and cityscapesscripts, which were written for numpy 1, so that they run under numpy 2.

lvis 0.5.3 uses `np.float` and cityscapesscripts 2.3.0 `np.in1d`; numpy 2 has neither. A module looks such
names up in its own global `np`. So a private copy of the module is loaded and its `np` is replaced by
`Numpy1`; numpy itself, and the modules that others import, stay as they are. Loading lvis this way also
leaves out `lvis/__init__`, which imports OpenCV and matplotlib and sets up the root logger.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
import threading
import types
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from transfer.errors import TransferError

_LOCK = threading.Lock()


class Numpy1:
    """Stands for numpy, and has the two names that numpy 2 took away."""

    float = float
    in1d = staticmethod(np.isin)

    def __getattr__(self, name: str) -> Any:
        return getattr(np, name)


class _Quiet:
    """Stands in for `logging`: lvis warns of every list of results that it is given."""

    def getLogger(self, _: str) -> _Quiet:
        return self

    def __getattr__(self, _: str) -> Callable[..., None]:
        return lambda *args: None


@cache
def lvis() -> tuple[Any, Any, Any]:
    """The classes LVIS, LVISResults and LVISEval."""
    with _LOCK:
        spec = importlib.util.find_spec("lvis")
        if spec is None or not spec.submodule_search_locations:
            raise TransferError("the LVIS metric needs the package lvis; install it: pip install lvis")
        hidden = {n: sys.modules.pop(n) for n in list(sys.modules) if n == "lvis" or n.startswith("lvis.")}
        shell = types.ModuleType("lvis")  # a package without its __init__
        shell.__path__ = list(spec.submodule_search_locations)
        sys.modules["lvis"] = shell
        try:
            data = importlib.import_module("lvis.lvis")
            results = importlib.import_module("lvis.results")
            evaluation = importlib.import_module("lvis.eval")
        finally:
            for n in [n for n in sys.modules if n == "lvis" or n.startswith("lvis.")]:
                del sys.modules[n]
            sys.modules.update(hidden)
    evaluation.np = Numpy1()  # type: ignore[attr-defined]
    for module in (data, results, evaluation):
        module.logging = _Quiet()  # type: ignore[attr-defined]
    return data.LVIS, results.LVISResults, evaluation.LVISEval


@cache
def cityscapes(script: str) -> Any:
    """A copy of cityscapesscripts.evaluation.<script>."""
    with _LOCK:
        try:
            spec = importlib.util.find_spec(f"cityscapesscripts.evaluation.{script}")
        except ModuleNotFoundError:
            spec = None
        if spec is None or spec.origin is None or spec.loader is None:
            raise TransferError(
                "the Cityscapes metric needs cityscapesscripts; install it: pip install cityscapesscripts"
            )
        own = importlib.util.spec_from_file_location(f"_transfer_{script}", spec.origin)
        assert own is not None
        assert own.loader is not None
        module = importlib.util.module_from_spec(own)
        own.loader.exec_module(module)
    module.np = Numpy1()  # type: ignore[attr-defined]
    return module
