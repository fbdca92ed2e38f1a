"""How the command line takes options: a list grows, and a second single value is refused."""

from __future__ import annotations

import argparse
from typing import Any


class Parser(argparse.ArgumentParser):
    """argparse, but of what was typed nothing is dropped in silence; the parsers of commands are like it."""

    def __init__(self, *arguments: Any, **options: Any):
        super().__init__(*arguments, **({"allow_abbrev": False} | options))
        for name in (None, "store"):
            self.register("action", name, _Store)
        self.given: set[str] = set()


class _Store(argparse.Action):
    """Stores a value; a repeated option of several values adds to those before."""

    def __call__(self, parser: Any, namespace: Any, values: Any, option_string: str | None = None) -> None:
        again = option_string is not None and self.dest in parser.given
        parser.given.add(self.dest)
        if again and self.nargs != "+":
            raise argparse.ArgumentError(self, "given twice; it takes one value")
        setattr(namespace, self.dest, [*getattr(namespace, self.dest), *values] if again else values)
