"""Makes text from checkpoints fit for one line of a terminal: visible, and cut where it is long."""

from __future__ import annotations

from collections.abc import Sequence

from converters.options import visible

LONGEST_NAME = 200
LONGEST_LINE = 6_000


def printable(text: object, longest: int = LONGEST_LINE) -> str:
    """`text` in one line: control, bidirectional and other unprintable characters escaped, surrogates too.

    What is longer than `longest` characters is cut and says by how much.
    """
    line = str(text)
    rest = f"... ({len(line) - longest} more characters)" if len(line) > longest else ""
    return visible(line[:longest]) + rest


def listed(names: Sequence[str], most: int = 8) -> str:
    """The first `most` names, each printable and cut, with the count of those left out."""
    shown = ", ".join(printable(name, LONGEST_NAME) for name in names[:most])
    return shown + (f" and {len(names) - most} more" if len(names) > most else "")
