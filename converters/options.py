"""Reads the options of every command of the project: none is dropped in silence, a mistake is one line.

All packages import this module and `command.py` beside it, so both import nothing but the standard library.
"""

from __future__ import annotations

import argparse
import sys
from typing import Any, NoReturn


class Parser(argparse.ArgumentParser):
    """Extends an option of several values where it is repeated, and refuses to repeat one of a single value.

    Names are not abbreviated, and a mistake is one line on standard error with exit code 2. Parsers of
    subcommands are of the same class. A package with other words has its own `TWICE`, `repeated` or `error`.
    """

    TWICE = "given twice, {before} and {values}; keep one"
    called = ""  # how the installed command was called, which then stands in the usage for `prog`

    def __init__(self, *arguments: Any, **options: Any):
        super().__init__(*arguments, **({"allow_abbrev": False} | options))
        if self.called and not self.prog.startswith(self.called):
            self.prog = self.called
        for name in (None, "store"):
            self.register("action", name, _Store)
        self.given: set[str] = set()

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Forgets what an earlier call was given."""
        self.given = set()
        return super().parse_known_args(args, namespace)

    def repeated(self, action: argparse.Action, name: str, before: Any, values: Any) -> Any:
        """Returns the value of an option that is given again under `name`, or refuses it."""
        if action.nargs in ("+", "*"):
            return [*before, *values]
        raise argparse.ArgumentError(action, self.TWICE.format(before=before, values=values))

    def error(self, message: str) -> NoReturn:
        """Ends the program with one line, which says where the options are listed."""
        line = visible(" ".join(message.split()))
        print(f"error: {line}; {self.prog} --help shows what there is", file=sys.stderr)
        sys.exit(2)


def visible(text: str) -> str:
    """Escapes what a terminal would obey or hide: control, bidirectional and undecodable characters.

    Labels and the names of files and tensors come from elsewhere; one could clear the screen or forge a line.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


class _Store(argparse.Action):
    """Stores the values of an option, and asks its parser where the option is given again."""

    def __call__(self, parser: Any, namespace: Any, values: Any, option_string: str | None = None) -> None:
        if option_string is not None and self.dest in parser.given:
            values = parser.repeated(self, option_string, getattr(namespace, self.dest), values)
        parser.given.add(self.dest)
        setattr(namespace, self.dest, values)
