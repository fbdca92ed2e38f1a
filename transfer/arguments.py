"""The command line's own rules: what is given is used, or refused in one line."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import Any, NoReturn


class Parser(argparse.ArgumentParser):
    """argparse, but nothing that was typed is dropped in silence.

    An option with several values collects them over all its places; one with a single value may be given
    once. Names are not abbreviated, and a mistake is one line on standard error with exit code 2.
    """

    def __init__(self, *arguments: Any, **options: Any):
        super().__init__(*arguments, **({"allow_abbrev": False} | options))
        for name in (None, "store"):
            self.register("action", name, _Store)
        self.given: set[str] = set()

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        self.given = set()
        return super().parse_known_args(args, namespace)

    def error(self, message: str) -> NoReturn:
        line = " ".join(message.split())
        print(f"error: {line}; {self.prog} --help shows what there is", file=sys.stderr)
        sys.exit(2)


class _Store(argparse.Action):
    """Stores one value, or all of those that a repeated option of several values was given."""

    def __call__(
        self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, values: Any, option: Any = None
    ) -> None:
        assert isinstance(parser, Parser)
        again = option is not None and self.dest in parser.given
        parser.given.add(self.dest)
        if again and not (isinstance(values, Sequence) and self.nargs in ("+", "*")):
            before = getattr(namespace, self.dest)
            raise argparse.ArgumentError(self, f"given twice, {before} and {values}; keep one")
        setattr(namespace, self.dest, [*getattr(namespace, self.dest), *values] if again else values)
