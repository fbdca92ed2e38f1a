"""Hands a run's records to an experiment tracker: any module with `init`, `log` and `finish`."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

from pretrain.errors import PretrainError, warn

CALLS = ("init", "log", "finish")


class Tracker:
    """One run in a tracker. What it raises later is told once, and the run goes on without it."""

    def __init__(self, module: str, directory: Path, config: dict[str, Any]) -> None:
        """Calls init(project=..., name=..., config=...). Raises PretrainError where that is not possible.

        The project is the folder around the run's, the name that of the run's own.
        """
        try:
            self._module: Any = importlib.import_module(module)
        except Exception as error:  # whatever a name that is none, or the module itself, raises
            told = f"--tracker {module or repr(module)}: cannot be imported ({_line(error)})"
            raise PretrainError(f"{told}; install it, or run without it") from None
        missing = [name for name in CALLS if not callable(getattr(self._module, name, None))]
        if missing:
            raise PretrainError(
                f"--tracker {module}: has no function {missing[0]}; expected a module with {', '.join(CALLS)}"
            )
        place = directory.resolve()
        try:
            self._module.init(project=place.parent.name or "pretrain", name=place.name, config=config)
        except Exception as error:
            raise PretrainError(f"--tracker {module}: init failed ({_line(error)}); run without it") from None
        self._name = module

    def log(self, values: dict[str, float], iteration: int) -> None:
        if self._module is not None:
            self._call("log", values, step=iteration)

    def close(self) -> None:
        if self._module is not None:
            self._call("finish")

    def _call(self, name: str, *values: Any, **named: Any) -> None:
        try:
            getattr(self._module, name)(*values, **named)
        except Exception as error:
            self._module = None
            warn(f"--tracker {self._name}: {name} failed ({_line(error)}); the run goes on without it")


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
