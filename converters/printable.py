"""The one place that makes text from files fit for a terminal: a checkpoint may hold any names."""

from __future__ import annotations

from collections.abc import Sequence

LONGEST_NAME = 200
LONGEST_LINE = 6_000


def printable(text: object, longest: int = LONGEST_LINE) -> str:
    """`text` in one line: control, bidirectional and other unprintable characters escaped, surrogates too.

    What is longer than `longest` characters is cut and says by how much.
    """
    line = str(text)
    rest = f"... ({len(line) - longest} more characters)" if len(line) > longest else ""
    line = line[:longest]
    if not line.isprintable():
        line = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in line)
    return line + rest


def listed(names: Sequence[str], most: int = 8) -> str:
    """The first `most` names, each printable and cut, with the count of those left out."""
    shown = ", ".join(printable(name, LONGEST_NAME) for name in names[:most])
    return shown + (f" and {len(names) - most} more" if len(names) > most else "")
