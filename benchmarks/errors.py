"""The error of the command line, and how it is said."""

from __future__ import annotations


class UsageError(ValueError):
    """One clear line: what, got, expected, next step."""


def one_line(error: BaseException | str) -> str:
    """Its text as one line of visible characters, whatever file names and labels hold."""
    text = " ".join(str(error).split())
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
