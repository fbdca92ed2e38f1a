"""Defines the error of the command line, and makes any error's text one line."""

from __future__ import annotations

from converters.options import visible


class UsageError(ValueError):
    """Says in one line what was wrong, what was given, what was expected and what to do next."""


def one_line(error: BaseException | str) -> str:
    """Makes an error's text one line of visible characters, whatever file names and labels hold."""
    return visible(" ".join(str(error).split()))
