"""How the command line takes options: none is dropped in silence, and nothing raw is printed back."""

from __future__ import annotations

import argparse
from typing import Any, NoReturn

from converters.printable import printable


class Parser(argparse.ArgumentParser):
    """Prints wrong arguments without control characters: a shell's glob hands over any file names."""

    def error(self, message: str) -> NoReturn:
        """Ends with exit code 2, the usage and the message."""
        super().error(printable(message))


class Once(argparse.Action):
    """Stores an option's value and refuses a second one, which argparse would let win in silence."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        if option_string and getattr(namespace, self.dest) is not None:
            raise argparse.ArgumentError(self, "given twice; it takes one value")
        setattr(namespace, self.dest, values)
