"""Turns signals into a flag that is read between two iterations, or into an end where nothing is lost."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SAVE, STOP = 1, 2
ENDING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class Stopped(BaseException):
    """A signal asked for the end while there was nothing to save; `number` is its number."""

    def __init__(self, number: int) -> None:
        super().__init__(f"stopped by {signal.Signals(number).name}; run the same command again")
        self.number = number


@contextmanager
def raising() -> Iterator[None]:
    """Makes a stop signal raise Stopped, in the main thread; a second one ends the process at once."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def on_signal(number: int, frame: FrameType | None) -> None:
        signal.signal(number, signal.SIG_DFL)
        raise Stopped(number)

    previous = {number: signal.signal(number, on_signal) for number in ENDING}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


class Signals:
    """SIGUSR1 asks for a checkpoint; SIGTERM, SIGINT and SIGHUP ask for one and then the end.

    The second signal of the same kind ends the process at once, so that a hanging run can be interrupted.
    """

    def __init__(self) -> None:
        self.request = 0
        self.number = 0
        self._previous = {
            number: signal.signal(number, self._on_signal) for number in (signal.SIGUSR1, *ENDING)
        }

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self.number = number
        self.request = max(self.request, SAVE if number == signal.SIGUSR1 else STOP)
        if number != signal.SIGUSR1:
            signal.signal(number, signal.SIG_DFL)

    def take(self) -> int:
        """The strongest request since the last call: 0, SAVE or STOP. A request to stop stays."""
        request = self.request
        if request == SAVE:
            self.request = 0
        return request

    def raise_stop(self) -> None:
        """Raises Stopped where the end is asked for: between two parts of a work that leaves nothing."""
        if self.request == STOP:
            raise Stopped(self.number)

    def restore(self) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)
