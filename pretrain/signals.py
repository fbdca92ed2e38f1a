"""Signals as a flag that the training loop reads between two iterations."""

from __future__ import annotations

import signal
from types import FrameType

SAVE, STOP = 1, 2


class Signals:
    """SIGUSR1 asks for a checkpoint; SIGTERM, SIGINT and SIGHUP ask for one and then the end.

    The second signal of the same kind acts as usual, so that a hanging run can still be interrupted.
    """

    def __init__(self) -> None:
        self.request = 0
        self.number = 0
        self._previous = {
            number: signal.signal(number, self._on_signal)
            for number in (signal.SIGUSR1, signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
        }

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self.number = number
        self.request = max(self.request, SAVE if number == signal.SIGUSR1 else STOP)
        if number != signal.SIGUSR1:
            signal.signal(number, self._previous[signal.Signals(number)])

    def take(self) -> int:
        """The strongest request since the last call: 0, SAVE or STOP. A request to stop stays."""
        request = self.request
        if request == SAVE:
            self.request = 0
        return request

    def restore(self) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)
