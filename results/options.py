"""How the command line takes options: a list grows, a second single value and a mistake get one line."""

from __future__ import annotations

import argparse
import sys
from typing import Any, NoReturn

from results.tables.escape import plain


class Parser(argparse.ArgumentParser):
    """argparse, but of what was typed nothing is dropped in silence; the parsers of commands are like it.

    A mistake is one line on standard error with exit code 2.
    """

    def __init__(self, *arguments: Any, **options: Any):
        super().__init__(*arguments, **({"allow_abbrev": False} | options))
        for name in (None, "store"):
            self.register("action", name, _Store)
        self.given: set[str] = set()

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Refuses what is not known at once, so that the line names the command that it was given to."""
        self.given = set()
        namespace, unknown = super().parse_known_args(args, namespace)
        if unknown:
            self.error(f"unrecognized arguments: {' '.join(unknown)}")
        return namespace, unknown

    def error(self, message: str) -> NoReturn:
        """Ends the program with one line, which says where the options are listed."""
        line = plain(" ".join(message.split()))
        print(f"error: {line}; {self.prog} --help shows what there is", file=sys.stderr)
        sys.exit(2)


class _Store(argparse.Action):
    """Stores a value; a repeated option of several values adds to those before."""

    def __call__(self, parser: Any, namespace: Any, values: Any, option_string: str | None = None) -> None:
        again = option_string is not None and self.dest in parser.given
        parser.given.add(self.dest)
        if again and self.nargs != "+":
            raise argparse.ArgumentError(self, "given twice; it takes one value")
        setattr(namespace, self.dest, [*getattr(namespace, self.dest), *values] if again else values)
