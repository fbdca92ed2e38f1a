"""Turns the end of a command into its exit code and one line."""

from __future__ import annotations

from collections.abc import Callable

from pretrain.errors import complain, line_of, warn
from pretrain.process.signals import Stopped, raising


def exit_code(command: Callable[[], int], memory_advice: str = "lower --batch-size or --image-size") -> int:
    """Runs `command`; with one line, 2 is returned for bad input and 128 + N where signal N ended it."""
    try:
        with raising():
            return command()
    except Stopped as stop:
        warn(str(stop))
        return 128 + stop.number
    except Exception as error:
        line = line_of(error, memory_advice)
        if line is None:
            raise
    complain(line)
    return 2
