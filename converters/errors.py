"""Defines the one error that this package raises for a file, folder or option that it cannot accept."""

from __future__ import annotations

from converters.printable import printable


class CheckpointError(ValueError):
    """One line for the user: what is wrong, what was found, what was expected, what to do next.

    Names out of a file are part of many messages, so the text is made printable here.
    """

    def __init__(self, message: object) -> None:
        super().__init__(printable(message))
