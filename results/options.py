"""Reads the options of `python -m results` as the other commands do, and refuses unknown ones at once."""

from __future__ import annotations

from typing import Any

from converters import options


class Parser(options.Parser):
    """Refuses what it does not know at once, so that the line names the command that it was given to."""

    TWICE = "given twice; it takes one value"

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        namespace, unknown = super().parse_known_args(args, namespace)
        if unknown:
            self.error(f"unrecognized arguments: {' '.join(unknown)}")
        return namespace, unknown
