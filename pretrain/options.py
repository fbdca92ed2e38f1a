"""Takes the options of this package's commands: each once, possible values, one line about the rest."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from typing import Any, NoReturn

from converters import options
from pretrain.errors import complain

MOST = 2**31 - 1


class Parser(options.Parser):
    """Refuses an option that is given again, with all its values: the earlier ones would be lost."""

    def repeated(self, action: argparse.Action, name: str, before: Any, values: Any) -> NoReturn:
        several = "give all values after one" if action.nargs else "give it once"
        self.error(f"{name} is given more than once; {several}")

    def error(self, message: str) -> NoReturn:
        complain(f"{message}; see {self.prog} --help")
        raise SystemExit(2)


def positive(text: str) -> int:
    """A whole number from 1 on."""
    return whole(1)(text)


def whole(least: int, most: int = MOST) -> Callable[[str], int]:
    """The reader of a whole number between two others, which belong to the range."""

    def read(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = least - 1
        if not least <= value <= most:
            limit = f"of at least {least}" if value < least else f"of at most {most}"
            raise argparse.ArgumentTypeError(f"expected a whole number {limit}, got {text!r}")
        return value

    return read


def real(least: float, most: float = math.inf, *, above: bool = False) -> Callable[[str], float]:
    """The reader of a finite number from `least` (or above it) to `most`."""

    def read(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        low_enough = value <= most and math.isfinite(value)
        if not low_enough or value < least or (above and value == least):
            low = f"above {least:g}" if above else f"from {least:g}"
            high = "" if most == math.inf else f" to {most:g}"
            raise argparse.ArgumentTypeError(f"expected a finite number {low}{high}, got {text!r}")
        return value

    return read


def seed(text: str) -> int:
    """The seed of a run: what the counter-based generator and torch both take as it is."""
    return whole(0, 2**63 - 1)(text)
