"""The error of the command line, and its one line."""

from __future__ import annotations

from converters.options import visible


class UsageError(ValueError):
    """One clear line: what, got, expected, next step."""


def one_line(error: BaseException | str) -> str:
    """Makes an error's text one line of visible characters, whatever file names and labels hold."""
    return visible(" ".join(str(error).split()))
